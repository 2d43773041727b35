import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { qwen3VlFromConfig } from '../../src/models/qwen3-vl-config.ts';
import type { ContentEncoder } from '../../src/rerank/content-encoder.ts';
import { createRequestEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import { readConfig } from '../../src/rerank/describe-model-node.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { VisualPairs } from '../../src/rerank/visual-pairs.ts';
import { expandIds, pictures, vlFixture, vlModel, type VlRequest } from '../support/vl-requests.ts';

const encoders = new Map<number, Promise<ContentEncoder>>();
afterAll(async () => {
  for (const encoder of encoders.values()) await (await encoder).close();
});

function encoderOf(maxLength: number): Promise<ContentEncoder> {
  let encoder = encoders.get(maxLength);
  if (!encoder) {
    const architecture = 'Qwen3VLForConditionalGeneration';
    const options = {
      kind: 'vl-decoder',
      architecture,
      modelDir: vlModel,
      maxLength,
      truncate: true,
      workers: 1,
    } as const;
    encoder = createRequestEncoder({ ...options, media: { mediaRoot: pictures } }) as Promise<ContentEncoder>;
    encoders.set(maxLength, encoder);
  }
  return encoder;
}

async function encode({ query, documents, instruct, maxLength }: VlRequest, windowTokens: number) {
  const encoder = await encoderOf(maxLength);
  const windows: (readonly EnginePair[])[] = [];
  const options = { instruct, windowTokens, mostTokens: maxLength };
  for await (const pairs of encoder.windows(query, documents, options)) windows.push(pairs);
  return windows;
}

let visualPairs: VisualPairs;
beforeAll(async () => {
  visualPairs = new VisualPairs(qwen3VlFromConfig(await readConfig(vlModel)).vision!, 2 ** 20);
});

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** i32 [3, T] of [T, 3]. */
function byAxis(positions: Uint32Array): Int32Array {
  const length = positions.length / 3;
  return Int32Array.from({ length: 3 * length }, (_, i) => positions[(i % length) * 3 + Math.floor(i / length)]!);
}

describe('requests with pictures against transformers', () => {
  test.each(vlFixture.requests.map((request, i) => [i, request] as const))(
    'request %i: ids, pixels, positions',
    async (_, request) => {
      const pairs = (await encode(request, 1e9)).flat();
      expect(pairs.length).toBe(request.results.length);
      request.results.forEach((expected, i) => {
        const pair = pairs[i]!;
        expect([...pair.ids], expected.text).toEqual(expandIds(expected.ids));
        expect(pair.truncatedTokens).toBe(expected.truncatedTokens);
        const seen = pair.media!.map(({ rgb, height, width }) => ({ size: [height, width], sha256: sha256(rgb) }));
        const known = expected.media.map((name) => vlFixture.media[name]!);
        expect(seen).toEqual(known.map(({ resized, resizedSha256 }) => ({ size: resized, sha256: resizedSha256 })));
        const sequence = visualPairs.sequence(pair);
        const positions = new Uint8Array(byAxis(sequence.positions!).buffer);
        visualPairs.release(sequence);
        expect(sha256(positions)).toBe(expected.positionsSha256);
      });
    },
  );

  test('windows are bounded by visual tokens, and hold the same pairs', async () => {
    const request = vlFixture.requests[4]!;
    const [whole] = await encode(request, 1e9);
    const windows = await encode(request, 1);
    expect(windows.map((window) => window.length)).toEqual(request.documents.map(() => 1));
    expect(windows.flat()).toEqual(whole);
  });

  test('pictures that fill a prompt are refused before all of them are read', async () => {
    const encoder = await encoderOf(10_240);
    const part = { type: 'image_url', image_url: { url: 'scene.jpg' } } as const;
    const options = { windowTokens: 1000, mostTokens: 1000 };
    const reading = async () => {
      for await (const _ of encoder.windows('q', [[part, part, part, part]], options)) expect.unreachable();
    };
    await expect(reading()).rejects.toMatchObject({
      code: 'input-too-long',
      message: expect.stringContaining('more than the 1000 tokens of a prompt'),
    });
  });
});
