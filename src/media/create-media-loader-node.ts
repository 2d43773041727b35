import { WgrankError } from '../errors.ts';
import type { EncodedMedia, MediaLoader, MediaSource } from './encoded-media.ts';
import { MediaProcess, type MediaProcessOptions } from './media-process-node.ts';
import type { MediaTask } from './media-protocol.ts';
import { ShareRuns } from './share-runs.ts';
import { Slots } from './slots.ts';
import { sourceKey } from './source-key.ts';
import { cancelled } from './source-limits.ts';

/**
 * Sources whose bytes are read and held at a time, whatever the requests; the others wait in order. Clips wait for clips only, so
 * that pictures get past those that take long to read. With the default limits 160 MiB of pictures and 208 MiB of clips at the
 * most: two lists, and what is being read for them.
 */
const maxPictures = 8;
const maxClips = 2;
/** Encoded bytes of a clip that is given as pictures; as much as a file with a clip may have. */
const maxListBytes = 64 * 2 ** 20;
/** Pictures of lists that are read at a time, of all lists together. */
const readAtOnce = 4;

export interface MediaLoaderOptions extends MediaProcessOptions {
  /** Reads encoded bytes from where a request says they are. */
  readSource(url: string, kind: 'image' | 'video', signal?: AbortSignal): Promise<Uint8Array>;
}

/** Reads sources and decodes them in processes of their own. Callers who ask for the same thing at the same time share one load. */
export function createMediaLoader({ readSource, ...options }: MediaLoaderOptions): MediaLoader {
  const decoders = new MediaProcess(options);
  const runs = {
    image: new ShareRuns<EncodedMedia>(maxPictures),
    video: new ShareRuns<EncodedMedia>(maxClips),
  };
  const reads = new Slots(readAtOnce);

  async function readTask(source: MediaSource, signal: AbortSignal): Promise<MediaTask> {
    if ('url' in source) return { kind: source.kind, bytes: await readSource(source.url, source.kind, signal) };
    return { kind: 'video', pictures: await readList(source.frames, signal), fps: source.fps };
  }

  async function readList(urls: readonly string[], signal: AbortSignal): Promise<Uint8Array[]> {
    const pictures: Uint8Array[] = [];
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    let bytes = 0;
    const read = async (url: string, at: number): Promise<void> => {
      if (!(await reads.take(either))) throw cancelled();
      try {
        const picture = await readSource(url, 'image', either);
        bytes += picture.length;
        if (bytes > maxListBytes)
          throw new WgrankError('media-too-large', 'video', `its pictures have over ${maxListBytes} bytes together`);
        pictures[at] = picture;
      } finally {
        reads.release();
      }
    };
    // A few at a time, so that lists take turns.
    for (let first = 0; first < urls.length; first += readAtOnce) {
      const group = urls.slice(first, first + readAtOnce).map((url, place) => read(url, first + place));
      try {
        await Promise.all(group);
      } catch (error) {
        failed.abort();
        // Nothing is read for a list that no longer counts as held.
        await Promise.allSettled(group);
        // Errors keep what is in sight of where they were made.
        pictures.length = 0;
        throw error;
      }
    }
    return pictures;
  }

  return {
    load: (source, signal) =>
      runs[source.kind].join(
        sourceKey(source),
        async (shared) => decoders.encode(await readTask(source, shared), shared),
        signal,
      ),
    close: () => decoders.close(),
  };
}
