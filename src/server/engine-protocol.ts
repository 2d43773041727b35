import type { EncodedMedia } from '../media/encoded-media.ts';
import { errorCatalogue, WgrankError, type ErrorCode } from '../errors.ts';
import type { Engine, EngineInfo, EngineOptions, EnginePair, EngineStats } from '../rerank/engine.ts';

/** What the server says to its engine process. `id` pairs a question with its answer. */
export type EngineCommand =
  /** The first one. */
  | { readonly type: 'load'; readonly options: EngineOptions }
  | { readonly type: 'score'; readonly id: number; readonly batch: PackedPairs }
  /** A piece of the pixels of the score command that follows under the same id, in order. */
  | { readonly type: 'pixels'; readonly id: number; readonly bytes: Uint8Array }
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
  /** Pictures and clips of all pairs, equal ones once; absent when there are none. */
  readonly media?: {
    readonly list: readonly EncodedMedia[];
    /** Which of them each pair shows, in order. */
    readonly shown: readonly Int32Array[];
  };
}

/** Start-up arguments, handed over as JSON in the child's argv. */
export interface EngineLaunch {
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

export function packPairs(pairs: readonly Pick<EnginePair, 'ids' | 'media'>[]): PackedPairs {
  const lengths = Int32Array.from(pairs, (pair) => pair.ids.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const pair of pairs) {
    ids.set(pair.ids, offset);
    offset += pair.ids.length;
  }
  const media = packMedia(pairs);
  return { ids, lengths, ...(media && { media }) };
}

function packMedia(pairs: readonly Pick<EnginePair, 'media'>[]): PackedPairs['media'] {
  const places = new Map<string, number>();
  const list: EncodedMedia[] = [];
  const shown = pairs.map(({ media = [] }) =>
    Int32Array.from(media, (one) => {
      const place = places.get(one.hash) ?? list.push(one) - 1;
      places.set(one.hash, place);
      return place;
    }),
  );
  return list.length > 0 ? { list, shown } : undefined;
}

/** @returns views into `ids`, one per pair */
export function unpackPairs({ ids, lengths, media }: PackedPairs): EnginePair[] {
  let offset = 0;
  return Array.from(lengths, (length, i) => {
    const shown = media && { media: Array.from(media.shown[i]!, (place) => media.list[place]!) };
    const pair = { ids: ids.subarray(offset, offset + length), truncatedTokens: 0, ...shown };
    offset += length;
    return pair;
  });
}

/** Bytes of one message of pixels: tens of megabytes in one would hold up the event loops at both ends. */
const pieceBytes = 2 ** 20;

/** Takes the pixels out of a batch. @returns the batch without them, and pieces of them in order */
export function takePixels(batch: PackedPairs): { batch: PackedPairs; pieces: Uint8Array[] } {
  if (!batch.media) return { batch, pieces: [] };
  const { list, shown } = batch.media;
  const pieces = list.flatMap(({ rgb }) =>
    Array.from({ length: Math.ceil(rgb.length / pieceBytes) }, (_, i) =>
      rgb.subarray(i * pieceBytes, (i + 1) * pieceBytes),
    ),
  );
  const without = list.map((media) => ({ ...media, rgb: new Uint8Array(0) }));
  return { batch: { ...batch, media: { list: without, shown } }, pieces };
}

/** The inverse of `takePixels`. */
export function givePixels(batch: PackedPairs, pieces: readonly Uint8Array[]): PackedPairs {
  if (!batch.media) return batch;
  let next = 0;
  const list = batch.media.list.map((media) => {
    const rgb = new Uint8Array(media.frames * media.height * media.width * 3);
    for (let at = 0; at < rgb.length; at += pieceBytes) rgb.set(pieces[next++]!, at);
    return { ...media, rgb };
  });
  return { ...batch, media: { ...batch.media, list } };
}

export function packFailure(error: unknown): Failure {
  if (error instanceof WgrankError) return { code: error.code, message: error.message };
  return { message: error instanceof Error ? error.message : String(error) };
}

/** The message already carries its place, so none is added. */
export function unpackFailure({ code, message }: Failure): Error {
  return code !== undefined && code in errorCatalogue ? new WgrankError(code, '', message) : new Error(message);
}
