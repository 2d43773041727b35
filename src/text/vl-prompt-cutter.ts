import { WgrankError } from '../errors.ts';
import type { EncodedPair, EncodeOptions } from './encoded-pair.ts';
import { expandClips, expandRuns } from './media-slots.ts';
import type { SingleLayout } from './pair-layout.ts';
import { forEachChunk } from './prompt-chunks.ts';
import type { PromptTokenizer } from './prompt-cutter.ts';
import { probeTexts, seamsOf } from './prompt-seams.ts';
import { countIds, cutText, officialTail } from './vl-truncation.ts';
import { mediaOf, type VlPromptSource, type VlTexts } from './vl-prompt-source.ts';
import { visualTokens, type PromptPart } from './vl-prompt.ts';

/** UTF-16 units of the marks of a picture or of a group of a clip. */
const markUnits = 64;
/** Ids are kept whole: what survives a cut may stand anywhere. */
const keepAll = 2 ** 31 - 1;

/** Ids that a tokenizer has for a prompt's structure. */
export interface VlTokens {
  readonly special: ReadonlySet<number>;
  /** Stand for visual tokens. */
  readonly pads: ReadonlySet<number>;
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
  /** Text ids of a prompt before each side's texts. */
  readonly before: { query?: Promise<number>; document?: Promise<number> };
}

/** Turns prompts with pictures and clips into ids, and cuts them as the official code does. */
export class VlPromptCutter {
  readonly #parts: VlPromptCutterParts;
  /** Ids at the end of every prompt. */
  #tail = officialTail;

  private constructor(parts: VlPromptCutterParts) {
    this.#parts = parts;
  }

  /** Finds the end that all prompts share. */
  static async create(parts: VlPromptCutterParts): Promise<VlPromptCutter> {
    const cutter = new VlPromptCutter(parts);
    const probes = probeTexts.map((text) => ({ query: [textPart(text)], document: [textPart(text)], instruct: text }));
    const [one, other] = await cutter.#idsOf(probes, undefined);
    cutter.#tail = Math.max(officialTail, seamsOf(one!, other!).tailCount);
    return cutter;
  }

  /** See `VlPromptEncoder.encode`. */
  async encode(
    query: readonly PromptPart[],
    documents: readonly (readonly PromptPart[])[],
    { instruct, signal }: EncodeOptions,
  ): Promise<EncodedPair[]> {
    if (signal?.aborted) throw new WgrankError('cancelled', 'tokenizer', 'the caller gave up');
    const asked: Asked = { query, instruct: instruct === '' ? undefined : instruct, signal, before: {} };
    if (this.#parts.truncate) await this.#refuseHopeless(asked, documents);
    const pairs: EncodedPair[] = Array.from({ length: documents.length });
    const shared = unitsOf(query) + (instruct?.length ?? 0);
    await forEachChunk(documents.map(unitsOf), shared, async (first, end) => {
      const prompts = documents.slice(first, end).map((document) => ({ query, document, instruct: asked.instruct }));
      for (const [i, ids] of (await this.#idsOf(prompts, signal)).entries())
        pairs[first + i] = await this.#fit(ids, prompts[i]!.document, asked);
    });
    return pairs;
  }

  /** Whole prompts in ids, visual tokens and the tokenizer's own tokens included. */
  async #idsOf(prompts: readonly VlTexts[], signal: AbortSignal | undefined): Promise<Int32Array[]> {
    const { source, pool, tokens } = this.#parts;
    const { before, after } = tokens.around;
    const slotted = await source.prompts(prompts, signal);
    const texts = slotted.map((text, i) => expandClips(text, mediaOf(prompts[i]!)));
    const found = await pool.tokenize(texts, keepAll, signal);
    return found.map(({ ids }, i) => expandRuns([before, ids, after], texts[i]!.runs, tokens.pads));
  }

  async #fit(ids: Int32Array, document: readonly PromptPart[], asked: Asked): Promise<EncodedPair> {
    const { maxLength, truncate, tokens } = this.#parts;
    const tail = this.#tail;
    const room = this.#room();
    // SGLang refuses a prompt of exactly the limit, too.
    if (truncate ? ids.length - tail <= room : ids.length < maxLength) return { ids, truncatedTokens: 0 };
    if (!truncate)
      throw new WgrankError(
        'input-too-long',
        '',
        `The input (${ids.length} tokens) is longer than the model's context length (${maxLength} tokens).`,
      );
    const count = countIds(ids, tokens.special, tail);
    const visual = visualTokensOf(asked.query) + visualTokensOf(document);
    if (count.special > room) throw this.#tooManySpecial(count.special, visual);
    const keep = room - count.special;
    for (const side of ['query', 'document'] as const) {
      const parts = side === 'query' ? asked.query : document;
      if (!isTextAlone(parts)) continue;
      if ((await this.#textBefore(asked, side)) >= keep) throw this.#nothingLeft(side, visual);
    }
    const cut = cutText(ids, tokens.special, tail, keep);
    return { ids: cut, truncatedTokens: ids.length - cut.length };
  }

  /** Prompts that cannot fit are found out before a thousand documents are rendered. */
  async #refuseHopeless(asked: Asked, documents: readonly (readonly PromptPart[])[]): Promise<void> {
    const room = this.#room();
    const most = documents.reduce((sum, document) => Math.max(sum, visualTokensOf(document)), 0);
    const visual = visualTokensOf(asked.query) + most;
    if (visual > room) throw this.#tooManySpecial(visual, visual);
    if (2 * unitsOf(asked.query) + 2 * (asked.instruct?.length ?? 0) <= room || !documents.some(isTextAlone)) return;
    const left = room - visualTokensOf(asked.query);
    if ((await this.#textBefore(asked, 'document')) >= left)
      throw this.#nothingLeft('document', visualTokensOf(asked.query));
  }

  /** Most ids without the tail: a longer tail than the official one does not make prompts longer. */
  #room(): number {
    return this.#parts.maxLength + officialTail - this.#tail;
  }

  /** Text ids before a side's own, found by comparing prompts that differ in that side alone. */
  #textBefore(asked: Asked, side: 'query' | 'document'): Promise<number> {
    return (asked.before[side] ??= (async () => {
      const { query, instruct, signal } = asked;
      const prompts = probeTexts.map((text) => {
        const probe = [textPart(text)];
        return side === 'query'
          ? { query: probe, document: probe.slice(1), instruct }
          : { query, document: probe, instruct };
      });
      const [one, other] = await this.#idsOf(prompts, signal);
      const { headCount } = seamsOf(one!, other!);
      return countIds(one!.subarray(0, headCount), this.#parts.tokens.special, 0).text;
    })());
  }

  #tooManySpecial(special: number, visual: number): WgrankError {
    return new WgrankError(
      'input-too-long',
      '',
      `The pictures and clips of a query and a document take ${visual} tokens; with the prompt's structure that is ${special} tokens ` +
        `which cannot be cut, more than the limit of ${this.#parts.maxLength} (raise --max-length, or send fewer or smaller ` +
        'pictures or fewer frames).',
    );
  }

  #nothingLeft(side: 'query' | 'document', visual: number): WgrankError {
    const others = side === 'query' ? 'The instruction' : 'The query and the instruction';
    return new WgrankError(
      'input-too-long',
      '',
      `${others} and ${visual} tokens of pictures and clips take the ${this.#parts.maxLength} tokens of a prompt, and nothing of the ` +
        `${side} would remain (shorten them, raise --max-length, or send fewer or smaller pictures or fewer frames).`,
    );
  }
}

const textPart = (text: string): PromptPart => ({ kind: 'text', text });

/** True for a side that has text and no media: when its text is cut, nothing of it is left. */
function isTextAlone(parts: readonly PromptPart[]): boolean {
  return parts.every(({ kind }) => kind === 'text') && parts.some((part) => part.kind === 'text' && part.text !== '');
}

const visualTokensOf = (parts: readonly PromptPart[]): number =>
  parts.reduce((sum, part) => sum + visualTokens(part), 0);

const unitsOf = (parts: readonly PromptPart[]): number => parts.reduce((sum, part) => sum + partUnits(part), 0);

function partUnits(part: PromptPart): number {
  if (part.kind === 'text') return part.text.length;
  return markUnits * (part.kind === 'image' ? 1 : part.timestamps.length);
}
