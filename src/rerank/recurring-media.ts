import type { EncodedMedia, MediaSource } from '../media/encoded-media.ts';
import { sourceKey } from '../media/source-key.ts';

interface Kept {
  readonly loading: Promise<EncodedMedia>;
  /** Of pixels, once they are there. */
  bytes: number;
}

/** Media of one request: what is shown again is kept until then, as far as there is room, and loaded again where there is none. */
export class RecurringMedia {
  readonly #toCome = new Map<string, number>();
  readonly #kept = new Map<string, Kept>();
  readonly #mostBytes: number;
  readonly #load: (source: MediaSource) => Promise<EncodedMedia>;
  #bytes = 0;

  /** @param sources all that will be taken, as often as they will be */
  constructor(
    sources: readonly MediaSource[],
    mostBytes: number,
    load: (source: MediaSource) => Promise<EncodedMedia>,
  ) {
    for (const key of sources.map(sourceKey)) this.#toCome.set(key, (this.#toCome.get(key) ?? 0) + 1);
    this.#mostBytes = mostBytes;
    this.#load = load;
  }

  /** @throws whatever loading does; later takes of the same source then fail, too */
  async take(source: MediaSource): Promise<EncodedMedia> {
    const key = sourceKey(source);
    this.#toCome.set(key, this.#toCome.get(key)! - 1);
    const kept = this.#kept.get(key) ?? this.#begin(key, source);
    const media = await kept.loading;
    if (kept.bytes === 0) {
      kept.bytes = media.rgb.length;
      this.#bytes += kept.bytes;
    }
    if (this.#toCome.get(key) === 0 || this.#bytes > this.#mostBytes) this.#drop(key, kept);
    return media;
  }

  #begin(key: string, source: MediaSource): Kept {
    const kept = { loading: this.#load(source), bytes: 0 };
    this.#kept.set(key, kept);
    return kept;
  }

  #drop(key: string, kept: Kept): void {
    if (this.#kept.get(key) !== kept) return;
    this.#kept.delete(key);
    this.#bytes -= kept.bytes;
  }
}
