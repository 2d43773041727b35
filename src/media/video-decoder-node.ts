import { readFileSync } from 'node:fs';

import { WgrankError } from '../errors.ts';
import type { WebCodecs } from './web-codecs.ts';

const packageName = '@napi-rs/webcodecs';

/**
 * The operator's own provider of WebCodecs, where one was put among the globals; else the optional package.
 * @throws WgrankError `decoder-missing` with the command that installs it
 */
export async function findWebCodecs(): Promise<WebCodecs> {
  const own: Partial<WebCodecs> = globalThis as object;
  if (own.VideoDecoder && own.EncodedVideoChunk)
    return { VideoDecoder: own.VideoDecoder, EncodedVideoChunk: own.EncodedVideoChunk };
  try {
    return (await import(packageName)) as WebCodecs;
  } catch (cause) {
    throw new WgrankError(
      'decoder-missing',
      'video',
      `no decoder is installed (npm install ${packageName}@${supportedVersion()}, or send the frames as pictures)`,
      { cause },
    );
  }
}

/** The lowest version of package.json's range. */
function supportedVersion(): string {
  const { peerDependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    peerDependencies: Record<string, string>;
  };
  return peerDependencies[packageName]!.replace(/^[^\d]+/, '');
}
