import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { patchify, type PatchFormat } from '../../src/ops/patchify.ts';
import { Random } from '../fuzz/random.ts';
import { patchify as reference, type PatchPlace } from '../reference/patchify.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';

/** The header's promise: a subtraction, and a division, of which WGSL allows 2.5 units. */
const relativeError = 6 * 2 ** -24;

interface PatchifyCase extends Case {
  readonly side: number;
  readonly frames: number;
  readonly P: number;
  readonly seed: number;
}

// A workgroup covers 64 runs of 4 pixels: 16 patches of the smallest, half of the largest.
const cases: PatchifyCase[] = [4, 8, 12, 16, 20].flatMap((side) =>
  [1, 2].flatMap((frames) => [1, 7, 15, 16, 17, 65].map((P, seed) => ({ side, frames, P, seed: 10 * side + seed }))),
);

const [mean, std] = [[123.675, 116.28, 103.53] as const, [58.395, 57.12, 57.375] as const];
const rounded = { mean: mean.map(Math.fround), std: std.map(Math.fround) };

/** Bytes as they lie in words, the first one lowest, and zeros behind the last. */
function pack(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  bytes.forEach((byte, i) => (words[i >> 2]! += byte * 256 ** (i % 4)));
  return words;
}

/** Patches that begin at any byte, the last one so that its last byte is the last of all. */
function valuesOf({ side, frames, P, seed }: PatchifyCase) {
  const random = new Random(seed);
  const bytes = Uint8Array.from({ length: 60 * side * side + seed }, () => random.below(256));
  const patches = Array.from({ length: P }, (_, p): PatchPlace => {
    const rowBytes = 3 * side + random.below(30 * side);
    const last = bytes.length - (side - 1) * rowBytes - 3 * side;
    return { rowBytes, frames: Array.from({ length: frames }, () => (p === P - 1 ? last : random.below(last + 1))) };
  });
  return { bytes, patches };
}
type Values = ReturnType<typeof valuesOf>;

const run = (format: PatchFormat, { bytes, patches }: Values) =>
  runOp((op) => {
    const pixels = pack(bytes);
    op.sizes = { P: patches.length, B: pixels.length };
    const unused = 0xffffffff;
    const words = patches.flatMap(({ frames, rowBytes }) => [frames[0]!, frames[1] ?? unused, rowBytes, unused]);
    const places = op.input('patches', 'u32', ['P', 4], Uint32Array.from(words));
    return patchify(op.graph, op.input('pixels', 'u32', ['B'], pixels), places, format);
  });

const formatOf = ({ side, frames }: Pick<PatchifyCase, 'side' | 'frames'>): PatchFormat => {
  return { patchSize: side, temporalPatchSize: frames, mean, std };
};

const title = ({ side, frames }: PatchifyCase) => `${side} pixels, frames ${frames}`;

describeCases('patchify', 'sizes', cases, title, async (one) => {
  const values = valuesOf(one);
  const expected = reference(values.bytes, values.patches, one.side, rounded.mean, rounded.std);
  const bound = (i: number) => relativeError * Math.abs(expected[i]!);
  expectClose('patchify', await run(formatOf(one), values), expected, bound);
});

const batches = cases.filter(({ P }) => P === 17);
describeCases('patchify', 'alone = in a batch', batches, title, async (one) => {
  const { bytes, patches } = valuesOf(one);
  const all = await run(formatOf(one), { bytes, patches });
  const width = all.length / patches.length;
  for (const [first, end] of [
    [0, 1],
    [7, 16],
    [16, 17],
  ] as const) {
    const alone = await run(formatOf(one), { bytes, patches: patches.slice(first, end) });
    expectSameBits(alone, all.subarray(first * width, end * width));
  }
});

describe('patchify', () => {
  it('gives the same bits wherever a picture begins, for all 256 values', async () => {
    const random = new Random(1);
    const picture = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i < 256 ? i : random.below(256)));
    const format = { patchSize: 16, temporalPatchSize: 1, mean, std };
    const results: Float32Array[] = [];
    for (const first of [0, 1, 2, 3, 4]) {
      const bytes = new Uint8Array(first + picture.length).fill(255);
      bytes.set(picture, first);
      results.push(await run(format, { bytes, patches: [{ frames: [first], rowBytes: 48 }] }));
    }
    for (const result of results) expectSameBits(result, results[0]!);
  });

  it('makes -1 … 1 of bytes with the mean and deviation of Qwen3-VL', async () => {
    const half = [127.5, 127.5, 127.5] as const;
    const format = { patchSize: 4, temporalPatchSize: 2, mean: half, std: half };
    const bytes = Uint8Array.from({ length: 48 }, (_, i) => [0, 255, 153, 127][i % 4]!);
    const out = await run(format, { bytes, patches: [{ frames: [0, 0], rowBytes: 12 }] });
    const values = [-1, 1, 0.2, -1 / 255]; // pixel k begins with byte 3k, and its channels are the next ones
    const expected = [0, 1, 2].flatMap((c) => Array.from({ length: 32 }, (_, i) => values[(3 * (i % 16) + c) % 4]!));
    expectClose('patchify', out, expected, (i) => relativeError * Math.abs(expected[i]!));
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const random = new Random(2);
    const bytes = Uint8Array.from({ length: 100_003 }, () => random.below(256));
    const patches = Array.from({ length: 16_385 }, (_, p) => ({ frames: [6 * p, 5 * p + 1], rowBytes: 48 }));
    const out = await run(formatOf({ side: 16, frames: 2 }), { bytes, patches });
    expect(out.some(Number.isNaN)).toBe(false);
    for (const p of [0, 1, 16_383, 16_384]) {
      const expected = reference(bytes, [patches[p]!], 16, rounded.mean, rounded.std);
      const row = out.subarray(p * expected.length, (p + 1) * expected.length);
      expectClose('patchify', row, expected, (i) => relativeError * Math.abs(expected[i]!));
    }
  });

  it('refuses what makes no patch', () => {
    const graph = new Graph();
    const [pixels, patches] = [graph.input('pixels', 'u32', ['B']), graph.input('patches', 'u32', ['P', 4])];
    const format = formatOf({ side: 16, frames: 2 });
    const refused = (change: Partial<PatchFormat>, message: string) => {
      expect(() => patchify(graph, pixels, patches, { ...format, ...change })).toThrow(message);
    };
    refused({ patchSize: 14 }, '[patchify] patches are 14 pixels wide (expected a multiple of 4)');
    refused({ patchSize: 0 }, '[patchify] patches are 0 pixels wide');
    refused({ temporalPatchSize: 3 }, '[patchify] patches have 3 frames (expected 1 or 2)');
    refused({ std: [1, 0, 1] }, '[patchify] mean is 123.675, 116.28, 103.53, std 1, 0, 1 (expected std above 0)');
    refused({ mean: [1, Number.NaN, 1] }, '[patchify] mean is 1, NaN, 1');
    expect(() => patchify(graph, pixels, graph.input('patches', 'u32', ['P', 3]), format)).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: '[patchify] a patch has 3 words (expected 4)' }),
    );
  });
});
