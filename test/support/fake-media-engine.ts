import { createHash } from 'node:crypto';
import type { Engine, EngineOptions, EnginePair } from '../../src/rerank/engine.ts';
import { fakeInfo } from './fake-engine.ts';

/** A number that tells whatever a pair holds: ids, and of its media all fields and bytes, in order. */
export function digestPair({ ids, media = [] }: Pick<EnginePair, 'ids' | 'media'>): number {
  const hash = createHash('sha256').update(ids);
  for (const { kind, rgb, frames, height, width, hash: name, timestamps = [] } of media)
    hash.update(JSON.stringify([kind, rgb.length, frames, height, width, name, timestamps])).update(rgb);
  return hash.digest().readUInt32LE() >>> 8; // exact in f32
}

/** An engine without a GPU whose logits say what has reached it. */
export async function loadEngine(_options: EngineOptions): Promise<Engine> {
  return {
    info: { ...fakeInfo, kind: 'vl-decoder' },
    score: async (pairs) => Float32Array.from(pairs, digestPair),
    stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
    close: async () => undefined,
  };
}
