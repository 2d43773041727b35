import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { buildSafetensors } from './build-safetensors.ts';

export const indexName = 'model.safetensors.index.json';

function countingBytes(count: number, first: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (first + i) % 251);
}

export const a = { dtype: 'F32', shape: [2, 3], data: countingBytes(24, 0) } as const;
export const b = { dtype: 'BF16', shape: [5], data: countingBytes(10, 100) } as const;
export const ids = { dtype: 'I64', shape: [1, 2] } as const;

/** An index that fits `writeShards`. */
export const goodMap = {
  a: 'model-00001-of-00002.safetensors',
  b: 'model-00002-of-00002.safetensors',
  ids: 'model-00002-of-00002.safetensors',
};

/** Folders for one test: a model folder `dir` inside `root`, both removed afterwards. */
export function useTemporaryModel(): { root: string; dir: string } {
  const place = { root: '', dir: '' };
  beforeEach(async () => {
    place.root = await mkdtemp(join(tmpdir(), 'wgrank-checkpoint-'));
    place.dir = join(place.root, 'model');
    await mkdir(place.dir);
  });
  afterEach(async () => {
    await rm(place.root, { recursive: true });
  });
  return place;
}

/** Writes two shards, with `a` in one and `b` and `ids` in the other, and an index with the given map. */
export async function writeShards(dir: string, map: Readonly<Record<string, string>>): Promise<void> {
  await writeFile(join(dir, 'model-00001-of-00002.safetensors'), buildSafetensors({ a }));
  await writeFile(join(dir, 'model-00002-of-00002.safetensors'), buildSafetensors({ b, ids }));
  await writeFile(join(dir, indexName), JSON.stringify({ metadata: { total_size: 50 }, weight_map: map }));
}

/** Open files of this process; 0 where there is no /proc. */
export async function countOpenFiles(): Promise<number> {
  return (await readdir('/proc/self/fd').catch(() => [])).length;
}
