import { WgrankError } from '../errors.ts';
import type { EncodedMedia, MediaLoader, MediaSource } from './encoded-media.ts';
import { MediaProcess, type MediaProcessOptions } from './media-process-node.ts';
import type { MediaTask } from './media-protocol.ts';
import { ShareRuns } from './share-runs.ts';
import { sourceKey } from './source-key.ts';

/** Sources whose bytes are read and held at a time, whatever the requests; the others wait. */
const maxHeld = 8;
/** Encoded bytes of a clip that is given as pictures; as much as a file with a clip may have. */
const maxListBytes = 64 * 2 ** 20;
/** Pictures of a list that are read at a time. */
const readAtOnce = 4;

export interface MediaLoaderOptions extends MediaProcessOptions {
  /** Reads encoded bytes from where a request says they are. */
  readSource(url: string, kind: 'image' | 'video', signal?: AbortSignal): Promise<Uint8Array>;
}

/** Reads sources and decodes them in processes of their own. Callers who ask for the same thing at the same time share one load. */
export function createMediaLoader({ readSource, ...options }: MediaLoaderOptions): MediaLoader {
  const decoders = new MediaProcess(options);
  const runs = new ShareRuns<EncodedMedia>(maxHeld);

  async function readTask(source: MediaSource, signal: AbortSignal): Promise<MediaTask> {
    if ('url' in source) return { kind: source.kind, bytes: await readSource(source.url, source.kind, signal) };
    const { frames, fps } = source;
    const pictures: Uint8Array[] = [];
    let bytes = 0;
    for (let at = 0; at < frames.length; at += readAtOnce) {
      const urls = frames.slice(at, at + readAtOnce);
      for (const picture of await Promise.all(urls.map((url) => readSource(url, 'image', signal)))) {
        pictures.push(picture);
        bytes += picture.length;
      }
      if (bytes > maxListBytes)
        throw new WgrankError('media-too-large', 'video', `its pictures have over ${maxListBytes} bytes together`);
    }
    return { kind: 'video', pictures, fps };
  }

  return {
    load: (source, signal) =>
      runs.join(sourceKey(source), async (shared) => decoders.encode(await readTask(source, shared), shared), signal),
    close: () => decoders.close(),
  };
}
