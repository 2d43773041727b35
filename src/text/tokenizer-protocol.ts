import type { ErrorCode } from '../errors.ts';
import type { MarkedText } from './marked-text.ts';
import type { TokenizerFile } from './tokenizer-json.ts';

/** What a worker thread starts with: a folder to read, or what another worker has read, in shared memory. */
export type WorkerStart = { readonly modelDir: string } | { readonly file: TokenizerFile };

/** A text to tokenise, with ranges in which nothing is a special token or without. */
export type TokenizerInput = string | MarkedText;

/** Texts to tokenise. */
export interface WorkerTask {
  readonly texts: readonly TokenizerInput[];
  /** Most ids to send back per text. */
  readonly keep: number;
}

/** What a worker thread says. */
export type WorkerReport =
  | { readonly kind: 'ready'; readonly file: TokenizerFile }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'done'; readonly ids: Int32Array; readonly tokenCounts: Int32Array };

/** One tokenised text. */
export interface TextTokens {
  /** The first ids, at most `keep`. */
  readonly ids: Int32Array;
  /** Tokens of the whole text. */
  readonly tokenCount: number;
}

/** Packs the ids of several texts into one array, `keep` of each at most. */
export function packTokens(
  encoded: readonly (readonly number[])[],
  keep: number,
): { ids: Int32Array<ArrayBuffer>; tokenCounts: Int32Array<ArrayBuffer> } {
  const tokenCounts = Int32Array.from(encoded, (ids) => ids.length);
  const ids = new Int32Array(tokenCounts.reduce((sum, count) => sum + Math.min(count, keep), 0));
  let at = 0;
  for (const part of encoded) {
    const kept = part.length <= keep ? part : part.slice(0, keep);
    ids.set(kept, at);
    at += kept.length;
  }
  return { ids, tokenCounts };
}

/** The inverse of `packTokens`. */
export function unpackTokens(ids: Int32Array, tokenCounts: Int32Array, keep: number): TextTokens[] {
  let at = 0;
  return Array.from(tokenCounts, (tokenCount) => {
    const start = at;
    at += Math.min(tokenCount, keep);
    return { ids: ids.subarray(start, at), tokenCount };
  });
}
