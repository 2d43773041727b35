import type { ErrorCode } from '../errors.ts';
import type { MarkedText } from './marked-text.ts';
import type { TokenizerFile } from './tokenizer-json.ts';
import { cutText, type IdMask } from './vl-truncation.ts';

/** What a worker thread starts with: a folder to read, or what another worker has read, in shared memory. */
export type WorkerStart = { readonly modelDir: string } | { readonly file: TokenizerFile };

/** A text to tokenise, with ranges in which nothing is a special token or without. */
export type TokenizerInput = string | MarkedText;

/**
 * Which ids of a text are sent back: so many at its beginning; or all special ones, of the others so many at the beginning, and the
 * last ones whatever they are.
 */
export type Keep = number | { readonly text: number; readonly special: IdMask; readonly tail: number };

/** Texts to tokenise. */
export interface WorkerTask {
  readonly texts: readonly TokenizerInput[];
  readonly keep: Keep;
}

/**
 * What a worker thread is told: a task, or before it a piece of its last text, which is empty in the task then. Pieces may cut a
 * surrogate pair.
 */
export type WorkerCommand = { readonly piece: string } | WorkerTask;

/** What a worker thread says. */
export type WorkerReport =
  | { readonly kind: 'ready'; readonly file: TokenizerFile }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'done'; readonly tokens: PackedTokens };

/** One tokenised text. */
export interface TextTokens {
  /** Those that were to be kept, in order. */
  readonly ids: Int32Array;
  /** Tokens of the whole text. */
  readonly tokenCount: number;
}

/** The kept ids of several texts in one array. */
export interface PackedTokens {
  readonly ids: Int32Array<ArrayBuffer>;
  /** Ids of each text in `ids`, and tokens of each whole text. */
  readonly keptCounts: Int32Array<ArrayBuffer>;
  readonly tokenCounts: Int32Array<ArrayBuffer>;
}

export function packTokens(encoded: readonly (readonly number[])[], keep: Keep): PackedTokens {
  const kept = encoded.map((ids) => keptOf(ids, keep));
  const keptCounts = Int32Array.from(kept, (ids) => ids.length);
  const ids = new Int32Array(keptCounts.reduce((sum, count) => sum + count, 0));
  let at = 0;
  for (const part of kept) {
    ids.set(part, at);
    at += part.length;
  }
  return { ids, keptCounts, tokenCounts: Int32Array.from(encoded, (whole) => whole.length) };
}

function keptOf(ids: readonly number[], keep: Keep): ArrayLike<number> {
  if (typeof keep === 'number') return ids.length <= keep ? ids : ids.slice(0, keep);
  if (ids.length <= keep.text) return ids;
  return cutText(Int32Array.from(ids), keep.special, Math.min(keep.tail, ids.length), keep.text);
}

/** The inverse of `packTokens`. */
export function unpackTokens({ ids, keptCounts, tokenCounts }: PackedTokens): TextTokens[] {
  let at = 0;
  return Array.from(tokenCounts, (tokenCount, i) => {
    const start = at;
    at += keptCounts[i]!;
    return { ids: ids.subarray(start, at), tokenCount };
  });
}
