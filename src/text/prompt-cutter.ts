import { WgrankError } from '../errors.ts';
import type { EncodedPair, EncodeOptions } from './encoded-pair.ts';
import { forEachChunk } from './prompt-chunks.ts';
import { probeTexts, seamsOf } from './prompt-seams.ts';
import type { PromptFrame, PromptSource } from './prompt-source.ts';
import type { Keep, TextTokens, TokenizerInput } from './tokenizer-protocol.ts';

/** More tokens than a probe has. */
const probeTokens = 32;

export interface PromptTokenizer {
  tokenize(texts: readonly TokenizerInput[], keep: Keep, signal?: AbortSignal): Promise<TextTokens[]>;
}

export interface PromptCutterParts {
  readonly source: PromptSource;
  readonly pool: PromptTokenizer;
  /** Most tokens of a prompt. */
  readonly maxLength: number;
  readonly truncate: boolean;
}

/** Turns prompts into ids: tokenises them and cuts the document's end where a prompt is too long. */
export class PromptCutter {
  readonly #parts: PromptCutterParts;

  constructor(parts: PromptCutterParts) {
    this.#parts = parts;
  }

  /** See `PairEncoder.encode`. */
  async encode(
    query: string,
    documents: readonly string[],
    { signal, ...options }: EncodeOptions,
  ): Promise<EncodedPair[]> {
    if (signal?.aborted) throw new WgrankError('cancelled', 'tokenizer', 'the caller gave up');
    const { source, pool } = this.#parts;
    const truncate = options.truncate ?? this.#parts.truncate;
    const maxLength = Math.min(this.#parts.maxLength, options.maxPairTokens ?? Infinity);
    const instruct = options.instruct === '' ? undefined : options.instruct;
    const frame = await source.frame(query, instruct, signal);
    const room = maxLength - frame.before.length - frame.after.length;
    if (truncate && room < 1) throw noRoom(maxLength);
    let known: Promise<Seams> | undefined;
    const findTail = (): Promise<Seams> => (known ??= this.#findTail(frame, room, maxLength, signal));
    const fit = { frame, room, maxLength, truncate, maxDocumentTokens: options.maxDocumentTokens, findTail };
    const shared = query.length + (instruct?.length ?? 0);
    // A query that fills the prompt is found out before a thousand documents repeat it.
    if (truncate && 2 * shared > room) await findTail();
    const pairs: EncodedPair[] = Array.from({ length: documents.length });
    const units = documents.map((document) => document.length);
    await forEachChunk(units, shared, async (first, end) => {
      const texts = await frame.texts(documents.slice(first, end), signal);
      const tokens = await pool.tokenize(texts, Math.max(room, 0), signal);
      for (const [i, found] of tokens.entries()) pairs[first + i] = await assemble(found, fit);
    });
    return pairs;
  }

  /**
   * What stands around the document in the frame's text and survives whole.
   * @throws WgrankError `input-too-long` when nothing of a document would remain
   */
  async #findTail(
    frame: PromptFrame,
    room: number,
    maxLength: number,
    signal: AbortSignal | undefined,
  ): Promise<Seams> {
    const texts = await frame.texts(probeTexts, signal);
    const [one, other] = await this.#parts.pool.tokenize(texts, room + probeTokens, signal);
    if (one!.tokenCount > room + probeTokens || other!.tokenCount > room + probeTokens) throw noRoom(maxLength);
    const { headCount, tailCount } = seamsOf(one!.ids, other!.ids);
    if (headCount + tailCount >= room) throw noRoom(maxLength);
    return { headCount, tail: one!.ids.slice(one!.ids.length - tailCount) };
  }
}

interface Seams {
  /** Ids before the document. */
  readonly headCount: number;
  /** Ids behind it. */
  readonly tail: Int32Array;
}

/** What the prompts of one request have in common. */
interface Fit {
  readonly frame: PromptFrame;
  /** Ids of the frame's text at the most. */
  readonly room: number;
  readonly maxLength: number;
  readonly truncate: boolean;
  readonly maxDocumentTokens: number | undefined;
  readonly findTail: () => Promise<Seams>;
}

async function assemble({ ids, tokenCount }: TextTokens, fit: Fit): Promise<EncodedPair> {
  const { frame, room, maxLength, truncate, maxDocumentTokens, findTail } = fit;
  const { before, after } = frame;
  if (maxDocumentTokens !== undefined && tokenCount > maxDocumentTokens) {
    const { headCount, tail } = await findTail();
    const capped = headCount + maxDocumentTokens + tail.length;
    if (capped < room && tokenCount > capped) return cut(ids, tokenCount, capped, fit);
  }
  // SGLang refuses a prompt of exactly the limit, too.
  if (tokenCount < room || (truncate && tokenCount === room))
    return { ids: join(before, ids, [], after), truncatedTokens: 0 };
  if (!truncate) {
    const total = before.length + tokenCount + after.length;
    throw new WgrankError(
      'input-too-long',
      '',
      `The input (${total} tokens) is longer than the model's context length (${maxLength} tokens).`,
    );
  }
  return cut(ids, tokenCount, room, fit);
}

async function cut(ids: Int32Array, tokenCount: number, room: number, { frame, findTail }: Fit): Promise<EncodedPair> {
  const { tail } = await findTail();
  return {
    ids: join(frame.before, ids.subarray(0, room - tail.length), tail, frame.after),
    truncatedTokens: tokenCount - room,
  };
}

function noRoom(maxLength: number): WgrankError {
  return new WgrankError(
    'input-too-long',
    '',
    `The query and the instruction take the ${maxLength} tokens of a prompt, and nothing of the document ` +
      'would remain (shorten them or raise --max-length).',
  );
}

function join(...parts: readonly ArrayLike<number>[]): Int32Array {
  const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}
