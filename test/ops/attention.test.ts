import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import {
  attention,
  attentionVariants,
  chooseAttention,
  tileRows,
  type AttentionVariantName,
} from '../../src/ops/attention.ts';
import { attention as reference, type Span } from '../reference/attention.ts';
import { poison, runOp, testGpu } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, uniform } from './values.ts';

/** Largest score of the kinds that try online softmax. */
const reach = 50;
/**
 * A score is a sum of D products, and each step rounds a partial sum that is at most the largest score: roundings of random
 * sign come to the square root of D. A weight is off by what its score is; the 6 is for exp in weight and total.
 */
const relativeError = (score: number, D: number) => 2 ** -24 * (score * Math.sqrt(D) + 6);

/** `even`: scores within ±1. The others reach ±50: at random, or so that each key, or only the first, is a new maximum. */
const kinds = ['even', 'wide', 'rising', 'falling'] as const;

interface Program extends Case {
  readonly variant: AttentionVariantName;
  /** Head size. */
  readonly D: number;
}

interface AttentionCase extends Program {
  readonly heads: number;
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Rows before the first sequence that belong to none and hold NaN. */
  readonly before: number;
  /** Whether every token asks, or one of each sequence, as in the last layer. */
  readonly asks: 'all' | 'one';
  readonly kind: (typeof kinds)[number];
  readonly seed: number;
}

const { gpu } = await testGpu();
const variants = Object.keys(attentionVariants) as AttentionVariantName[];

/** `registers` is a program per head size. lavapipe compiles 128 in ten seconds; OP_PROGRAMS=all runs 256 there too. */
const everything = process.env['OP_PROGRAMS'] === 'all' || !/llvmpipe/.test(gpu.traits.adapter);
const programs: Program[] = variants
  .flatMap((variant) => [4, 16, 32, 64, 68, 128, 256].map((D) => ({ variant, D })))
  .filter(({ variant, D }) => everything || variant === 'blocked' || D <= 128);
if (!everything)
  console.warn(`attention: no registers with a head of 256 on ${gpu.traits.adapter} (OP_PROGRAMS=all for it)`);

// Tiles have 16 or 64 query rows; the blocked variant takes 16 keys a step.
const lengths = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 129].map((length) => [length]);
const ragged = [
  [1, 1, 1],
  [17, 1, 64, 5, 33],
  [65, 16, 15],
  [300, 7],
];
const cases: AttentionCase[] = programs.flatMap((program) => [
  ...[...lengths, ...ragged].map((lengths, seed) => {
    const shape = { heads: 1 + (seed % 4), lengths, before: (seed * 5) % 19, asks: 'all' } as const;
    return { ...program, ...shape, kind: kinds[seed % 4]!, seed };
  }),
  ...ragged.flatMap((lengths, i) =>
    kinds.flatMap((kind, k) =>
      (['all', 'one'] as const).map((asks, a) => {
        const seed = 100 + 8 * i + 2 * k + a;
        return { ...program, heads: 2, lengths, before: i, asks, kind, seed };
      }),
    ),
  ),
]);

interface Sequence {
  /** f32 [rows that ask, H·D] and [length, 2·H·D]. */
  readonly query: Float32Array;
  readonly keyValue: Float32Array;
}

function sequencesOf({ D, heads, lengths, asks, kind, seed }: AttentionCase): Sequence[] {
  const width = heads * D;
  return lengths.map((length, s) => {
    const at = 1000 * seed + 10 * s;
    const rows = asks === 'all' ? length : 1;
    const keyValue = uniform(at + 1, 2 * length * width);
    if (kind === 'even' || kind === 'wide') return { query: uniform(at, rows * width), keyValue };
    // All keys lie along one direction, and every query has a positive product with it.
    const direction = uniform(at + 2, width, 0.5, 1);
    for (let j = 0; j < length; j++) {
      const along = length === 1 ? 1 : (2 * j) / (length - 1) - 1;
      keyValue.set(
        direction.map((d) => (kind === 'rising' ? along : -along) * d),
        2 * j * width,
      );
    }
    return { query: uniform(at, rows * width, 0.5, 1), keyValue };
  });
}

const largestScore = (kind: AttentionCase['kind']) => (kind === 'even' ? 1 : reach);

/** The factor that makes the largest score what its kind says. */
function scaleOf(one: AttentionCase, sequences: readonly Sequence[]): number {
  const { D, heads, kind } = one;
  const width = heads * D;
  let highest = 0;
  for (const { query, keyValue } of sequences) {
    for (let q = 0; q < query.length; q += D) {
      for (let k = q % width; k < keyValue.length; k += 2 * width) {
        let product = 0;
        for (let d = 0; d < D; d++) product += query[q + d]! * keyValue[k + d]!;
        highest = Math.max(highest, Math.abs(product));
      }
    }
  }
  return Math.fround(largestScore(kind) / highest);
}

/** Sequences one behind the other, after `before` rows of NaN. @param tileSize query rows of each tile */
function layOut(one: AttentionCase, sequences: readonly Sequence[], tileSize = tileRows(one.variant)) {
  const width = one.heads * one.D;
  const rowsOf = ({ query, keyValue }: Sequence) => [query.length / width, keyValue.length / width / 2] as const;
  const spans: Span[] = [];
  const tiles: number[] = [];
  let [row, key] = [one.before, one.before];
  for (const [rows, keys] of sequences.map(rowsOf)) {
    spans.push({ queries: [row, row + rows], keys: [key, key + keys] });
    for (let i = 0; i < rows; i += tileSize) tiles.push(row + i, Math.min(tileSize, rows - i), key, key + keys);
    [row, key] = [row + rows, key + keys];
  }
  const query = new Float32Array(row * width).fill(Number.NaN);
  const keyValue = new Float32Array(2 * key * width).fill(Number.NaN);
  sequences.forEach((sequence, s) => {
    query.set(sequence.query, spans[s]!.queries[0] * width);
    keyValue.set(sequence.keyValue, 2 * spans[s]!.keys[0] * width);
  });
  return { query, keyValue, tiles: Uint32Array.from(tiles), spans };
}

/** @returns the sequences' rows, one behind the other; those before them must not have been written */
async function run(one: AttentionCase, batch: ReturnType<typeof layOut>, scale: number): Promise<Float32Array> {
  const width = one.heads * one.D;
  const out = await runOp((op) => {
    op.sizes = { Q: batch.query.length / width, T: batch.keyValue.length / width / 2, N: batch.tiles.length / 4 };
    const query = op.input('query', 'f32', ['Q', width], batch.query);
    const keyValue = op.input('keyValue', 'f32', ['T', 2 * width], batch.keyValue);
    const tiles = op.input('tiles', 'u32', ['N', 4], batch.tiles);
    return attention(op.graph, one.variant, query, keyValue, tiles, one.heads, scale);
  });
  const before = new Uint32Array(out.buffer, 0, one.before * width);
  expect(before.every((word) => word === poison)).toBe(true);
  return out.slice(one.before * width);
}

const title = ({ variant, D }: Program) => `${variant}, heads of ${D}`;

describeCases('attention', 'sizes', cases, title, async (one) => {
  const sequences = sequencesOf(one);
  const scale = scaleOf(one, sequences);
  const batch = layOut(one, sequences);
  const expected = reference(batch.query, batch.keyValue, batch.spans, one.heads, one.D, scale);
  const values = largest(batch.keyValue.slice(2 * one.before * one.heads * one.D));
  const bound = relativeError(largestScore(one.kind), one.D) * values;
  const rows = expected.subarray(one.before * one.heads * one.D);
  expectClose(`attention ${one.variant} D=${one.D} ${one.kind}`, await run(one, batch, scale), rows, bound);
});

const mixed = { heads: 3, lengths: [17, 1, 64, 5, 33, 16, 65], before: 0, asks: 'all', kind: 'wide', seed: 7 } as const;
const batches: AttentionCase[] = programs.map((program) => ({ ...program, ...mixed }));

describeCases('attention', 'alone = in a batch', batches, title, async (one) => {
  const sequences = sequencesOf(one);
  const scale = scaleOf(one, sequences);
  const together = await run(one, layOut(one, sequences), scale);
  let at = 0;
  for (const sequence of sequences) {
    const rows = together.subarray(at, (at += sequence.query.length));
    expectSameBits(await run(one, layOut(one, [sequence]), scale), rows);
    const moved = { ...one, before: 13 };
    expectSameBits(await run(moved, layOut(moved, [sequence]), scale), rows);
  }
});

describeCases('attention', 'however rows are cut into tiles', batches, title, async (one) => {
  const sequences = sequencesOf(one);
  const scale = scaleOf(one, sequences);
  const together = await run(one, layOut(one, sequences), scale);
  for (const rows of [1, 7, tileRows(one.variant) - 1]) {
    expectSameBits(await run(one, layOut(one, sequences, rows), scale), together);
  }
  const width = one.heads * one.D;
  const first = sequences.map(({ query, keyValue }) => ({ query: query.slice(0, width), keyValue }));
  const rowOf = (s: number) => one.lengths.slice(0, s).reduce((sum, length) => sum + length, 0) * width;
  const expected = first.flatMap((_, s) => [...together.subarray(rowOf(s), rowOf(s) + width)]);
  expectSameBits(await run(one, layOut(one, first), scale), Float32Array.from(expected));
});

describe('attention', () => {
  it.each(variants)('%s is exact where all scores are equal', async (variant) => {
    const one: AttentionCase = { ...mixed, variant, D: 4, heads: 2, lengths: [32] };
    const query = new Float32Array(32 * 8);
    const keyValue = Float32Array.from({ length: 32 * 16 }, (_, i) => (i % 13) - 6);
    const batch = layOut(one, [{ query, keyValue }]);
    expect([...(await run(one, batch, 1))]).toEqual([...reference(query, keyValue, batch.spans, 2, 4, 1)]);
  });

  it('has tiles of 16 rows for CPU rasterisers and of 64 for GPUs', () => {
    expect(tileRows(chooseAttention({ software: true, subgroupSize: 8 }))).toBe(16);
    expect(tileRows(chooseAttention({ software: false, subgroupSize: 32 }))).toBe(64);
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [query, keyValue, tiles] = [input('q', 'Q', 24), input('kv', 'T', 48), input('tiles', 'N', 4)];
    const attend = (q: typeof query, kv: typeof query, t: typeof query, heads: number) =>
      attention(graph, 'blocked', q, kv, t, heads, 1);
    expect(() => attend(query, input('kv', 'T', 24), tiles, 2)).toThrow(
      '[attention] query is 24 wide, keyValue 24, heads 2 (expected keyValue twice the query, and heads of a multiple of 4 up to 256)',
    );
    for (const heads of [0, 4, 5]) expect(() => attend(query, keyValue, tiles, heads)).toThrow(`heads ${heads} (`);
    expect(() => attend(input('q', 'Q', 260), input('kv', 'T', 520), tiles, 1)).toThrow('query is 260 wide');
    expect(() => attend(query, input('kv', 'T', 2, 24), tiles, 2)).toThrow(
      '[attention] keyValue has 3 axes (expected [T, twice]): query f32[Q, 24] · keyValue f32[T, 2, 24] · tiles f32[N, 4]',
    );
    expect(() => attend(input('q', 'Q', 'C'), keyValue, tiles, 2)).toThrow(
      expect.objectContaining({
        code: 'shape-mismatch',
        message: expect.stringContaining('C is C (expected a length') as string,
      }),
    );
    expect(graph.launches).toEqual([]);
  });
});
