import { WgrankError } from '../errors.ts';
import type { EncodedPair } from './encoded-pair.ts';
import { forEachChunk } from './prompt-chunks.ts';
import { probeTexts, seamsOf } from './prompt-seams.ts';
import type { PromptFrame, PromptSource } from './prompt-source.ts';
import type { TextTokens, TokenizerInput } from './tokenizer-protocol.ts';

/** More tokens than a probe has. */
const probeTokens = 32;

export interface PromptTokenizer {
  tokenize(texts: readonly TokenizerInput[], keep: number, signal?: AbortSignal): Promise<TextTokens[]>;
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
    instruct: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<EncodedPair[]> {
    if (signal?.aborted) throw new WgrankError('cancelled', 'tokenizer', 'the caller gave up');
    const { source, maxLength, truncate } = this.#parts;
    const frame = await source.frame(query, instruct, signal);
    const room = maxLength - frame.before.length - frame.after.length;
    if (truncate && room < 1) throw this.#noRoom();
    let known: Promise<Int32Array> | undefined;
    const findTail = (): Promise<Int32Array> => (known ??= this.#findTail(frame, room, signal));
    const shared = query.length + (instruct?.length ?? 0);
    // A query that fills the prompt is found out before a thousand documents repeat it.
    if (truncate && 2 * shared > room) await findTail();
    const pairs: EncodedPair[] = Array.from({ length: documents.length });
    const units = documents.map((document) => document.length);
    await forEachChunk(units, shared, async (first, end) => {
      const texts = await frame.texts(documents.slice(first, end), signal);
      const tokens = await this.#parts.pool.tokenize(texts, Math.max(room, 0), signal);
      for (const [i, found] of tokens.entries()) pairs[first + i] = await this.#assemble(frame, room, found, findTail);
    });
    return pairs;
  }

  async #assemble(
    frame: PromptFrame,
    room: number,
    { ids, tokenCount }: TextTokens,
    findTail: () => Promise<Int32Array>,
  ): Promise<EncodedPair> {
    const { before, after } = frame;
    const { maxLength, truncate } = this.#parts;
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
    const tail = await findTail();
    return {
      ids: join(before, ids.subarray(0, room - tail.length), tail, after),
      truncatedTokens: tokenCount - room,
    };
  }

  /**
   * Ids of the frame's text behind the document, which survive whole.
   * @throws WgrankError `input-too-long` when nothing of a document would remain
   */
  async #findTail(frame: PromptFrame, room: number, signal: AbortSignal | undefined): Promise<Int32Array> {
    const texts = await frame.texts(probeTexts, signal);
    const [one, other] = await this.#parts.pool.tokenize(texts, room + probeTokens, signal);
    if (one!.tokenCount > room + probeTokens || other!.tokenCount > room + probeTokens) throw this.#noRoom();
    const { headCount, tailCount } = seamsOf(one!.ids, other!.ids);
    if (headCount + tailCount >= room) throw this.#noRoom();
    return one!.ids.slice(one!.ids.length - tailCount);
  }

  #noRoom(): WgrankError {
    return new WgrankError(
      'input-too-long',
      '',
      `The query and the instruction take the ${this.#parts.maxLength} tokens of a prompt, and nothing of the document ` +
        'would remain (shorten them or raise --max-length).',
    );
  }
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
