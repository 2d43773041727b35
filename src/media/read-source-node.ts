import { statSync } from 'node:fs';

import { WgrankError } from '../errors.ts';
import { classifySource } from './classify-source.ts';
import { decodeBareBase64, decodeDataUri } from './decode-data-node.ts';
import { readFileSource } from './file-source-node.ts';
import { createRemoteSource, type DialForTests, type RemoteSource } from './remote-source-node.ts';
import {
  type ByteLimit,
  cancelled,
  defaultMaxBytes,
  defaultMaxRemoteBytes,
  defaultRemoteTimeoutMs,
  invalid,
  type SourceKind,
} from './source-limits.ts';

/** Where pictures and videos may come from. */
export interface SourceReaderOptions {
  /** Folder below which plain paths are read; none: paths are refused. */
  readonly mediaRoot?: string | undefined;
  /** Hosts that are fetched from over https, `host` or `host:port`, exactly; none: nothing is fetched. */
  readonly mediaAllow?: readonly string[] | undefined;
  /** Bytes of an encoded picture and of a file with a clip; default 20 MiB and 64 MiB. */
  readonly maxBytes?: { readonly image?: number | undefined; readonly video?: number | undefined } | undefined;
  /** Largest body fetched from another host, of either kind; default 10 MiB. */
  readonly maxRemoteBytes?: number | undefined;
  /** Time for one fetch, from the DNS to the last byte; default 5000. */
  readonly remoteTimeoutMs?: number | undefined;
  readonly dialForTests?: DialForTests;
}

/** Reads the bytes of pictures and videos as they are encoded. Safe to call concurrently. */
export interface SourceReader {
  /**
   * @param url a `data:` URI, bare base64, a path below the media folder, or an https URL of a listed host
   * @returns at least one byte, none of Node's pool; may be a view of a longer buffer
   * @throws WgrankError `media-refused` for what is not allowed, naming the option; `media-unavailable`, `media-too-large`,
   * `media-invalid`, `cancelled`
   */
  read(url: string, kind: SourceKind, signal?: AbortSignal): Promise<Uint8Array>;
}

/** @throws WgrankError `launch-refused` when the media folder is none, or an allowed host is no host */
export function createSourceReader(options: SourceReaderOptions = {}): SourceReader {
  const { mediaRoot, maxRemoteBytes = defaultMaxRemoteBytes } = options;
  if (mediaRoot !== undefined) requireFolder(mediaRoot);
  const remote = createRemoteSource({
    allow: options.mediaAllow ?? [],
    timeoutMs: options.remoteTimeoutMs ?? defaultRemoteTimeoutMs,
    dial: options.dialForTests,
  });
  const limitOf = (kind: SourceKind): ByteLimit => ({
    kind,
    maxBytes: options.maxBytes?.[kind] ?? defaultMaxBytes[kind],
    option: `--max-${kind}-bytes`,
  });

  async function readPlace(url: string, limit: ByteLimit, signal?: AbortSignal): Promise<Uint8Array> {
    switch (classifySource(url)) {
      case 'data':
        return decodeDataUri(url, limit, signal);
      case 'base64':
        return decodeBareBase64(url, limit, signal);
      case 'path':
        return readFileSource(url, mediaRoot, limit, signal);
      case 'https':
        return fetchSmaller(remote, url, limit, maxRemoteBytes, signal);
    }
  }

  return {
    async read(url, kind, signal) {
      if (signal?.aborted) throw cancelled();
      const bytes = await readPlace(url, limitOf(kind), signal);
      if (bytes.length === 0) throw invalid(`the ${kind === 'image' ? 'picture' : 'video'} has 0 bytes`);
      return bytes;
    },
  };
}

/** The kind's own limit holds for what is fetched too, when it is the lower one. */
function fetchSmaller(
  remote: RemoteSource,
  url: string,
  limit: ByteLimit,
  maxRemoteBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const lower = maxRemoteBytes < limit.maxBytes;
  return remote.read(url, lower ? { ...limit, maxBytes: maxRemoteBytes, option: '--max-remote-bytes' } : limit, signal);
}

function requireFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isDirectory())
    throw new WgrankError('launch-refused', '--media-root', `${JSON.stringify(path)} is no folder that can be read`);
}
