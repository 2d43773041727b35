import type { MediaSource } from './encoded-media.ts';

/** Equal for sources that give the same media. */
export function sourceKey(source: MediaSource): string {
  if ('url' in source) return `${source.kind} ${source.url}`;
  return `frames ${source.fps ?? ''} ${JSON.stringify(source.frames)}`;
}
