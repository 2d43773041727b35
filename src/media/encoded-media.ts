/** A picture or clip after the resize: what the engine reads, and all that travels between processes. */
export interface EncodedMedia {
  readonly kind: 'image' | 'video';
  /** 8-bit RGB, `[frames, height, width, 3]`, rows from the top. */
  readonly rgb: Uint8Array;
  /** 1 for a picture; even for a clip, whose frames the model takes in pairs. */
  readonly frames: number;
  /** Pixels, multiples of patch size times merge size. */
  readonly height: number;
  readonly width: number;
  /** Of kind, sizes and pixels together: equal media are encoded once. */
  readonly hash: string;
  /** Seconds of each pair of frames, for a clip's prompt. */
  readonly timestamps?: readonly number[];
}

/** Where a picture or clip comes from, as a request says it. */
export type MediaSource =
  | { readonly kind: 'image'; readonly url: string }
  | { readonly kind: 'video'; readonly url: string }
  /** A clip as pictures, in order; `fps` says how far apart they are. Default 2. */
  | { readonly kind: 'video'; readonly frames: readonly string[]; readonly fps?: number };

/** Turns sources into media, off the event loop. Safe to call concurrently. */
export interface MediaLoader {
  /**
   * Fetches, decodes and resizes.
   * @throws WgrankError `media-refused` for a source that is not allowed, `media-unavailable` for one that cannot be read,
   * `media-too-large`, `media-invalid`, `decoder-missing`, `cancelled`
   */
  load(source: MediaSource, signal?: AbortSignal): Promise<EncodedMedia>;
  close(): Promise<void>;
}
