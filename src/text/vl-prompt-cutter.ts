import { WgrankError } from '../errors.ts';
import type { EncodedPair, EncodeOptions } from './encoded-pair.ts';
import { LongWork } from './long-work.ts';
import { expandClips, expandRuns } from './media-slots.ts';
import type { SingleLayout } from './pair-layout.ts';
import { forEachChunk } from './prompt-chunks.ts';
import type { PromptTokenizer } from './prompt-cutter.ts';
import { probeTexts, seamsOf } from './prompt-seams.ts';
import { unitsOf } from './template-texts.ts';
import type { Keep } from './tokenizer-protocol.ts';
import { mediaOf, type VlPromptSource, type VlTexts } from './vl-prompt-source.ts';
import { visualTokens, type PromptPart } from './vl-prompt.ts';
import { brieflyOf, fills, fullHead, probesOf, withHead, type QueryHead } from './vl-query-head.ts';
import { nothingLeft, overLimit, refuseHuge, tooLongTwice, tooManySpecial } from './vl-too-long.ts';
import { countIds, cutText, officialTail, type IdMask, type PromptIds } from './vl-truncation.ts';

const keepAll = 2 ** 31 - 1;

/** Ids that a tokenizer has for a prompt's structure. */
export interface VlTokens {
  readonly special: IdMask;
  /** Stand for visual tokens. */
  readonly pads: IdMask;
  /** Around any text. */
  readonly around: SingleLayout;
}

export interface VlPromptCutterParts {
  readonly source: VlPromptSource;
  readonly pool: PromptTokenizer;
  readonly tokens: VlTokens;
  /** Most tokens of a prompt without its tail's. */
  readonly maxLength: number;
  readonly truncate: boolean;
}

/** One request's query and instruction, and what was found out about them. */
interface Asked {
  readonly query: readonly PromptPart[];
  readonly instruct: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** The head, and text ids before the query, once they are asked for. */
  readonly found: { head?: Promise<QueryHead>; beforeQuery?: Promise<number> };
  readonly truncate: boolean;
  /** Most tokens of a prompt without its tail's. */
  readonly maxLength: number;
  readonly maxDocumentTokens: number | undefined;
}

/** Turns prompts with pictures and clips into ids, and cuts them as the official code does. */
export class VlPromptCutter {
  readonly #parts: VlPromptCutterParts;
  /** Ids at the end of every prompt. */
  #tail = officialTail;
  /** Heads of queries whose documents come in several calls. */
  readonly #heads = new WeakMap<readonly PromptPart[], { readonly of: Asked; readonly head: QueryHead }>();

  private constructor(parts: VlPromptCutterParts) {
    this.#parts = parts;
  }

  /** Finds the end that all prompts share. */
  static async create(parts: VlPromptCutterParts): Promise<VlPromptCutter> {
    const cutter = new VlPromptCutter(parts);
    const probes = probeTexts.map((text) => ({ query: [textPart(text)], document: [textPart(text)], instruct: text }));
    const [one, other] = await cutter.#wholeIds(probes, undefined);
    cutter.#tail = Math.max(officialTail, seamsOf(one!, other!).tailCount);
    return cutter;
  }

  /** See `VlPromptEncoder.encode`. */
  async encode(
    query: readonly PromptPart[],
    documents: readonly (readonly PromptPart[])[],
    { instruct, signal, ...cut }: EncodeOptions,
  ): Promise<EncodedPair[]> {
    if (signal?.aborted) throw new WgrankError('cancelled', 'tokenizer', 'the caller gave up');
    const asked: Asked = {
      query,
      instruct: instruct === '' ? undefined : instruct,
      signal,
      found: {},
      truncate: cut.truncate ?? this.#parts.truncate,
      maxLength: Math.min(this.#parts.maxLength, cut.maxPairTokens ?? Infinity),
      maxDocumentTokens: cut.maxDocumentTokens,
    };
    const shared = unitsOf(query) + (instruct?.length ?? 0);
    refuseHuge(shared, this.#parts.maxLength);
    if (asked.truncate) await this.#refuseHopeless(asked, documents, shared);
    const full = asked.truncate && asked.found.head ? (await asked.found.head).full : undefined;
    const asking = full?.brief ?? asked;
    const pairs: EncodedPair[] = Array.from({ length: documents.length });
    const repeated = unitsOf(asking.query) + (asking.instruct?.length ?? 0);
    const work = new LongWork();
    const keep = { text: Math.max(0, this.#room(asked)), special: this.#parts.tokens.special, tail: this.#tail };
    await forEachChunk(documents.map(unitsOf), repeated, async (first, end) => {
      const prompts = documents
        .slice(first, end)
        .map((document) => ({ query: asking.query, document, instruct: asking.instruct }));
      for (const [i, found] of (await this.#idsOf(prompts, keep, signal)).entries()) {
        const prompt = full ? withHead(full, found, keep.special) : found;
        if (work.isDue(prompt.ids.length)) await work.pause();
        pairs[first + i] = await this.#fit(prompt, prompts[i]!.document, asked);
      }
    });
    return pairs;
  }

  async #wholeIds(prompts: readonly VlTexts[], signal: AbortSignal | undefined): Promise<Int32Array[]> {
    return (await this.#idsOf(prompts, keepAll, signal)).map(({ ids }) => ids);
  }

  /** Prompts in ids, visual tokens and the tokenizer's own tokens included. */
  async #idsOf(prompts: readonly VlTexts[], keep: Keep, signal: AbortSignal | undefined): Promise<PromptIds[]> {
    const { source, pool, tokens } = this.#parts;
    const { before, after } = tokens.around;
    const slotted = await source.prompts(prompts, signal);
    const texts = slotted.map((text, i) => expandClips(text, mediaOf(prompts[i]!)));
    const found = await pool.tokenize(texts, keep, signal);
    return found.map(({ ids, tokenCount }, i) => ({
      ids: expandRuns([before, ids, after], texts[i]!.runs, tokens.pads),
      left: tokenCount - ids.length,
    }));
  }

  async #fit(prompt: PromptIds, document: readonly PromptPart[], asked: Asked): Promise<EncodedPair> {
    const { tokens } = this.#parts;
    const { maxLength, truncate, maxDocumentTokens } = asked;
    const { ids, left } = prompt;
    const length = ids.length + left;
    const tail = this.#tail;
    const room = this.#room(asked);
    if (maxDocumentTokens !== undefined && length - tail > maxDocumentTokens) {
      const text = (await this.#textBefore(asked, 'document')) + maxDocumentTokens;
      const count = countIds(ids, tokens.special, tail);
      if (count.text > text && count.special + text < room) return cutTo(prompt, tokens.special, tail, text);
    }
    // SGLang refuses a prompt of exactly the limit, too.
    if (truncate ? length - tail <= room : length < maxLength) return { ids, truncatedTokens: 0 };
    if (!truncate) throw overLimit(length, maxLength);
    const count = countIds(ids, tokens.special, tail);
    const visual = visualTokensOf(asked.query) + visualTokensOf(document);
    if (count.special > room) throw tooManySpecial(count.special, visual, maxLength);
    const keep = room - count.special;
    for (const side of ['query', 'document'] as const) {
      const parts = side === 'query' ? asked.query : document;
      if (!isTextAlone(parts)) continue;
      if ((await this.#textBefore(asked, side)) >= keep) throw nothingLeft(side, visual, maxLength);
    }
    return cutTo(prompt, tokens.special, tail, keep);
  }

  /** Prompts that cannot fit are found out before a thousand documents are rendered. */
  async #refuseHopeless(asked: Asked, documents: readonly (readonly PromptPart[])[], shared: number): Promise<void> {
    const room = this.#room(asked);
    const ofQuery = visualTokensOf(asked.query);
    const most = documents.reduce((sum, document) => Math.max(sum, visualTokensOf(document)), 0);
    if (ofQuery + most > room) throw tooManySpecial(ofQuery + most, ofQuery + most, asked.maxLength);
    if (2 * shared <= room || documents.length === 0) return;
    const { count } = await this.#head(asked);
    if (count.special > room) throw tooManySpecial(count.special, ofQuery, asked.maxLength);
    if (count.text >= room - ofQuery && documents.some(isTextAlone))
      throw nothingLeft('document', ofQuery, asked.maxLength);
  }

  /** Most ids without the tail: a longer tail than the official one does not make prompts longer. */
  #room({ maxLength }: Asked): number {
    return maxLength + officialTail - this.#tail;
  }

  /** Text ids before a side's own. */
  async #textBefore(asked: Asked, side: 'query' | 'document'): Promise<number> {
    if (side === 'document') return (await this.#head(asked)).count.text;
    return (asked.found.beforeQuery ??= (async () => {
      const prompts = probeTexts.map((text) => ({ query: [textPart(text)], document: [], instruct: asked.instruct }));
      const [one, other] = await this.#wholeIds(prompts, asked.signal);
      return this.#countHead(one!, other!).text;
    })());
  }

  #head(asked: Asked): Promise<QueryHead> {
    return (asked.found.head ??= (async () => {
      const known = this.#heads.get(asked.query);
      if (known && isSame(known.of, asked)) return known.head;
      const head = await this.#findHead(asked);
      this.#heads.set(asked.query, { of: { ...asked, query: [...asked.query], signal: undefined, found: {} }, head });
      return head;
    })());
  }

  /** What prompts have in common that differ in the document alone. */
  async #findHead(asked: Asked): Promise<QueryHead> {
    const { special } = this.#parts.tokens;
    const probes = await this.#wholeIds(probesOf(asked), asked.signal);
    const count = this.#countHead(probes[0]!, probes[1]!);
    const keep = this.#room(asked) - count.special;
    if (!asked.truncate || !fills(count, keep)) return { count };
    const brief = brieflyOf(asked);
    const full = fullHead(brief, probes, await this.#wholeIds(probesOf(brief), asked.signal), special, keep);
    if (full === undefined) throw tooLongTwice(asked.maxLength);
    return { count, full };
  }

  #countHead(one: Int32Array, other: Int32Array): ReturnType<typeof countIds> {
    return countIds(one.subarray(0, seamsOf(one, other).headCount), this.#parts.tokens.special, 0);
  }
}

/** Whether a head found for one call is another's. */
function isSame(known: Asked, asked: Asked): boolean {
  return (
    known.instruct === asked.instruct &&
    known.maxLength === asked.maxLength &&
    known.truncate === asked.truncate &&
    known.query.length === asked.query.length &&
    known.query.every((part, i) => part === asked.query[i])
  );
}

function cutTo({ ids, left }: PromptIds, special: IdMask, tail: number, keep: number): EncodedPair {
  const cut = cutText(ids, special, tail, keep);
  return { ids: cut, truncatedTokens: ids.length + left - cut.length };
}

const textPart = (text: string): PromptPart => ({ kind: 'text', text });

/** True for a side that has text and no media: when its text is cut, nothing of it is left. */
function isTextAlone(parts: readonly PromptPart[]): boolean {
  return parts.every(({ kind }) => kind === 'text') && parts.some((part) => part.kind === 'text' && part.text !== '');
}

const visualTokensOf = (parts: readonly PromptPart[]): number =>
  parts.reduce((sum, part) => sum + visualTokens(part), 0);
