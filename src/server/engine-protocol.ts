import { errorCatalogue, WgrankError, type ErrorCode } from '../errors.ts';
import type { Engine, EngineInfo, EngineOptions, EngineStats } from '../rerank/engine.ts';

/** What the server says to its engine process. `id` pairs a question with its answer. */
export type EngineCommand =
  | { readonly type: 'score'; readonly id: number; readonly batch: PackedPairs }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'stats'; readonly id: number }
  | { readonly type: 'close' };

/** What the engine process says. */
export type EngineReport =
  | { readonly type: 'ready'; readonly info: EngineInfo }
  | { readonly type: 'load-failed'; readonly failure: Failure }
  | { readonly type: 'scored'; readonly id: number; readonly logits: Float32Array }
  | { readonly type: 'stats'; readonly id: number; readonly stats: EngineStats }
  | { readonly type: 'failed'; readonly id: number; readonly failure: Failure };

/** The pairs of one call as two arrays: one message of two blocks instead of a thousand small objects. */
export interface PackedPairs {
  /** All token ids, one pair after the other. */
  readonly ids: Int32Array;
  /** Tokens of each pair. */
  readonly lengths: Int32Array;
}

/** Start-up arguments, handed over as JSON in the child's argv. */
export interface EngineLaunch {
  readonly options: EngineOptions;
  /** Address of a module that exports `loadEngine`; default: wgrank's own. */
  readonly engineModule?: string;
}

/** What an engine module exports. */
export interface EngineModule {
  loadEngine(options: EngineOptions): Promise<Engine>;
}

/** An error as it crosses the process boundary; no code: a failure that wgrank does not name. */
export interface Failure {
  readonly code?: ErrorCode;
  readonly message: string;
}

export function packPairs(pairs: readonly { readonly ids: Int32Array }[]): PackedPairs {
  const lengths = Int32Array.from(pairs, (pair) => pair.ids.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const pair of pairs) {
    ids.set(pair.ids, offset);
    offset += pair.ids.length;
  }
  return { ids, lengths };
}

/** @returns views into `ids`, one per pair */
export function unpackPairs({ ids, lengths }: PackedPairs): { ids: Int32Array; truncatedTokens: number }[] {
  let offset = 0;
  return Array.from(lengths, (length) => {
    const pair = { ids: ids.subarray(offset, offset + length), truncatedTokens: 0 };
    offset += length;
    return pair;
  });
}

export function packFailure(error: unknown): Failure {
  if (error instanceof WgrankError) return { code: error.code, message: error.message };
  return { message: error instanceof Error ? error.message : String(error) };
}

/** The message already carries its place, so none is added. */
export function unpackFailure({ code, message }: Failure): Error {
  return code !== undefined && code in errorCatalogue ? new WgrankError(code, '', message) : new Error(message);
}
