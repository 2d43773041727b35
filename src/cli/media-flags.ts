import type { Command, OptionValues } from 'commander';
import type { MediaOptions } from '../rerank/create-request-encoder-node.ts';
import { integer, nonEmpty } from './flag-values.ts';

const bytes = integer(1, 1 << 30);

/** Declares where pictures and clips may come from, and how large they may be. */
export function declareMediaFlags(command: Command): void {
  command
    .option('--media-root <folder>', 'requests may name files below this folder; default: none', nonEmpty)
    .option(
      '--media-allow <hosts>',
      'requests may name https addresses of these hosts, separated by commas; default: none',
      nonEmpty,
    )
    .option('--apply-exif', 'turn pictures as their EXIF data says; default: as they are stored, as the reference')
    .option('--max-image-bytes <bytes>', 'largest picture as encoded; default: 20 MiB', bytes)
    .option('--max-video-bytes <bytes>', 'largest clip as encoded; default: 64 MiB', bytes)
    .option('--max-remote-bytes <bytes>', 'most that is fetched from another host; default: 10 MiB', bytes)
    .option('--remote-timeout-ms <ms>', 'longest that another host may take; default: 5000', integer(1, 600_000));
}

export function readMediaFlags(values: OptionValues): MediaOptions {
  const { mediaRoot, mediaAllow, applyExif, maxImageBytes, maxVideoBytes, maxRemoteBytes, remoteTimeoutMs } = values;
  const maxBytes = {
    ...(maxImageBytes !== undefined && { image: maxImageBytes }),
    ...(maxVideoBytes !== undefined && { video: maxVideoBytes }),
  };
  return {
    ...(mediaRoot !== undefined && { mediaRoot }),
    ...(mediaAllow !== undefined && {
      mediaAllow: String(mediaAllow)
        .split(',')
        .map((host) => host.trim()),
    }),
    ...(applyExif === true && { applyExif: true }),
    ...(Object.keys(maxBytes).length > 0 && { maxBytes }),
    ...(maxRemoteBytes !== undefined && { maxRemoteBytes }),
    ...(remoteTimeoutMs !== undefined && { remoteTimeoutMs }),
  };
}

/** Flags that were given and have no effect on a model that reads text only. */
export function idleMediaFlags(media: MediaOptions): string[] {
  const { mediaRoot, mediaAllow, applyExif, maxBytes, maxRemoteBytes, remoteTimeoutMs } = media;
  const values = {
    '--media-root': mediaRoot,
    '--media-allow': mediaAllow,
    '--apply-exif': applyExif,
    '--max-image-bytes': maxBytes?.image,
    '--max-video-bytes': maxBytes?.video,
    '--max-remote-bytes': maxRemoteBytes,
    '--remote-timeout-ms': remoteTimeoutMs,
  };
  return Object.entries(values).flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
}
