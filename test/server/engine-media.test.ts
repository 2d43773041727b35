import { deserialize, serialize } from 'node:v8';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EncodedMedia } from '../../src/media/encoded-media.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { spawnEngine, type EngineProcess } from '../../src/server/engine-process.ts';
import { packPairs, unpackPairs, type PackedPairs } from '../../src/server/engine-protocol.ts';
import { digestPair } from '../support/fake-media-engine.ts';
import { mediaOf } from '../support/fake-vision.ts';

const pair = (ids: readonly number[], ...media: EncodedMedia[]): EnginePair => ({
  ids: Int32Array.from(ids),
  truncatedTokens: 0,
  media,
});

/** The same media as it comes from a decoder's process: at an odd place of a longer buffer. */
function viewOf(media: EncodedMedia): EncodedMedia {
  const longer = new Uint8Array(media.rgb.length + 8).fill(255);
  longer.set(media.rgb, 3);
  return { ...media, rgb: longer.subarray(3, 3 + media.rgb.length) };
}

const sent = (pairs: readonly EnginePair[]) => unpackPairs(deserialize(serialize(packPairs(pairs))) as PackedPairs);
const clip = mediaOf(7, { frames: 4, columns: 2 });

describe('packed pairs', () => {
  test('without pictures are ids alone', () => {
    expect(Object.keys(packPairs([pair([1, 2]), pair([])]))).toEqual(['ids', 'lengths']);
    expect(unpackPairs(packPairs([pair([1, 2]), pair([])]))).toEqual([
      { ids: Int32Array.of(1, 2), truncatedTokens: 0 },
      { ids: Int32Array.of(), truncatedTokens: 0 },
    ]);
  });

  test('give every pair its media back, in order', () => {
    const pairs = [pair([1], mediaOf(1), clip), pair([2, 3]), pair([4], clip, mediaOf(2), clip)];
    expect(sent(pairs)).toEqual(pairs);
  });

  test('carry equal media once, whichever object it is', () => {
    const pairs = Array.from({ length: 100 }, (_, i) => pair([i], viewOf(mediaOf(1)), mediaOf(i % 3)));
    const packed = packPairs(pairs);
    expect(packed.media!.list.map(({ hash }) => hash)).toEqual([1, 0, 2].map((shade) => mediaOf(shade).hash));
    const back = sent(pairs);
    expect(back.map(digestPair)).toEqual(pairs.map(digestPair));
    expect(new Set(back.map(({ media }) => media![0])).size).toBe(1);
  });

  test('keep apart what differs in anything', () => {
    const all = [
      mediaOf(1),
      mediaOf(2),
      mediaOf(1, { frames: 2 }),
      mediaOf(1, { rows: 2 }),
      mediaOf(1, { columns: 2 }),
    ];
    expect(packPairs([pair([1], ...all)]).media!.list).toEqual(all);
  });

  test('carry the bytes of a view, not what it is a view of', () => {
    const longer = new Uint8Array(2 ** 22);
    const pairs = [pair([1], { ...mediaOf(1), rgb: longer.subarray(1, 193) })];
    expect(serialize(packPairs(pairs)).length).toBeLessThan(2000);
  });
});

describe('in the engine’s process', () => {
  let engine: EngineProcess;
  beforeAll(async () => {
    const engineModule = new URL('../support/fake-media-engine.ts', import.meta.url);
    engine = await spawnEngine({ modelDir: 'fake' }, { engineModule });
  });
  afterAll(() => engine.close());

  test('pairs are what they were: ids, sizes, bytes, timestamps', async () => {
    const pairs = [
      pair([1, 2], mediaOf(3, { rows: 4, columns: 5 })),
      pair([3]),
      pair([4, 5], clip, viewOf(mediaOf(9, { rows: 2 })), clip),
      { ids: Int32Array.of(6), truncatedTokens: 0 },
    ];
    const digests = pairs.map(digestPair);
    expect(new Set(digests).size).toBe(4);
    expect([...(await engine.score(pairs))]).toEqual(digests);
  });

  test('a picture of 4 MB for 100 documents, and callers at once', async () => {
    const large = mediaOf(5, { rows: 145, columns: 145 });
    expect(large.rgb.length).toBeGreaterThan(4e6);
    const calls = [1, 2, 3].map((n) => Array.from({ length: 100 }, (_, i) => pair([n, i], large, mediaOf(i))));
    const answers = await Promise.all(calls.map((pairs) => engine.score(pairs)));
    // One digest each: hashing 300 times 4 MB here would only test the machine.
    answers.forEach((logits, n) => {
      expect(logits[99]).toBe(digestPair(calls[n]![99]!));
      expect(new Set(logits).size).toBe(100);
    });
  });
});
