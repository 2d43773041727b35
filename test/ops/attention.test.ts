import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { layOutSharedBatch, type PrefixGroup } from '../../src/nn/ragged-batch.ts';
import {
  attention,
  attentionVariants,
  chooseAttention,
  runsAttention,
  tileRows,
  type AttentionVariant,
  type AttentionVariantName,
} from '../../src/ops/attention.ts';
import { attention as reference } from '../reference/attention.ts';
import { testGpu } from '../support/op-harness.ts';
import {
  kinds,
  largestScore,
  layOut,
  run,
  scaleOf,
  sequencesOf,
  type AttentionCase,
  type Program,
  type Sequence,
} from './attention-cases.ts';
import { describeCases, expectClose, expectSameBits } from './cases.ts';
import { largest, uniform } from './values.ts';

/**
 * A score is a sum of D products, and each step rounds a partial sum that is at most the largest score: roundings of random
 * sign come to the square root of D. A weight is off by what its score is; the 6 is for exp in weight and total.
 */
const relativeError = (score: number, D: number) => 2 ** -24 * (score * Math.sqrt(D) + 6);

const { gpu } = await testGpu();
const allVariants = Object.keys(attentionVariants) as AttentionVariantName[];
const variants = allVariants.filter((name) => runsAttention(name, gpu.traits));
for (const name of allVariants) {
  if (variants.includes(name)) continue;
  const needed = (attentionVariants[name] as AttentionVariant).subgroupSize;
  const found = `${gpu.traits.adapter} has ${gpu.traits.subgroupSize}`;
  describe.skip(`attention ${name}: needs subgroups of ${needed}, ${found}`, () => it('runs', () => undefined));
}

/** `registers` is a program per head size. lavapipe compiles 128 in ten seconds; OP_PROGRAMS=all runs 256 there too. */
const everything = process.env['OP_PROGRAMS'] === 'all' || !/llvmpipe/.test(gpu.traits.adapter);
const programs: Program[] = variants
  .flatMap((variant) => [4, 16, 32, 64, 68, 72, 128, 256].map((D) => ({ variant, D })))
  .filter(({ variant, D }) => everything || variant !== 'registers' || D <= 128);
if (!everything)
  console.warn(`attention: no registers with a head of 256 on ${gpu.traits.adapter} (OP_PROGRAMS=all for it)`);

// Tiles have 16 or 64 query rows; the blocked variants take 16 keys a step.
const lengths = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 129].map((length) => [length]);
const ragged = [
  [1, 1, 1],
  [17, 1, 64, 5, 33],
  [65, 16, 15],
  [150, 7],
];
const masks = ['both ways', 'causal'] as const;
const headPairs = [
  { heads: 1, kvHeads: 1 },
  { heads: 2, kvHeads: 2 },
  { heads: 4, kvHeads: 2 },
  { heads: 3, kvHeads: 1 },
] as const;
const cases: AttentionCase[] = programs.flatMap((program) => [
  ...[...lengths, ...ragged].map((lengths, seed) => {
    const shape = { ...headPairs[seed % 4]!, mask: masks[(seed >> 2) % 2]!, lengths, before: (seed * 5) % 19 };
    return { ...program, ...shape, asks: 'all' as const, kind: kinds[(seed + (seed >> 3)) % 4]!, seed };
  }),
  ...ragged.flatMap((lengths, i) =>
    kinds.flatMap((kind, k) =>
      (['all', 'one'] as const).map((asks, a) => {
        const shape = { heads: 2, kvHeads: 1 + ((i + (k >> 1)) % 2), mask: masks[(i + k + a) % 2]!, lengths };
        return { ...program, ...shape, before: i, asks, kind, seed: 100 + 8 * i + 2 * k + a };
      }),
    ),
  ),
]);

const title = ({ variant, D }: Program) => `${variant}, heads of ${D}`;

/** Operands and results that all variants share: the float64 loops take longer than the kernels. */
const prepared = new Map<string, { sequences: readonly Sequence[]; scale: number; expected: Float64Array }>();

function prepare(one: AttentionCase) {
  const key = JSON.stringify({ ...one, variant: undefined });
  let found = prepared.get(key);
  if (!found) {
    const sequences = sequencesOf(one);
    const scale = scaleOf(one, sequences);
    const { query, keyValue, asking } = layOut(one, sequences);
    const expected = reference(query, keyValue, asking, { ...one, size: one.D, scale });
    prepared.set(key, (found = { sequences, scale, expected: expected.subarray(one.before * one.heads * one.D) }));
  }
  return found;
}

describeCases('attention', 'sizes', cases, title, async (one) => {
  const { sequences, scale, expected } = prepare(one);
  // Every other case has its prefixes apart.
  const prefix = (s: number) => (one.seed % 2 === 0 ? 0 : Math.floor((one.lengths[s]! * (s + 1)) / (s + 2)));
  const out = await run(one, layOut(one, sequences, { prefix }), scale);
  const values = largest(sequences.flatMap(({ keyValue }) => [largest(keyValue)]));
  const bound = relativeError(largestScore(one.kind), one.D) * values;
  expectClose(`attention ${one.variant} D=${one.D} ${one.kind}`, out, expected, bound);
});

const mixed = {
  heads: 3,
  kvHeads: 3,
  lengths: [17, 1, 64, 5, 33, 16, 65],
  before: 0,
  asks: 'all',
  kind: 'wide',
  seed: 7,
};
const batches = programs.flatMap((program) =>
  masks.map((mask) => ({ ...program, ...mixed, mask, kvHeads: mask === 'causal' ? 1 : 3 }) as AttentionCase),
);

describeCases('attention', 'alone = in a batch', batches, title, async (one) => {
  const sequences = sequencesOf(one);
  const scale = scaleOf(one, sequences);
  const together = await run(one, layOut(one, sequences), scale);
  let at = 0;
  for (const sequence of sequences) {
    const rows = together.subarray(at, (at += sequence.query.length));
    const moved = { ...one, before: 13 };
    expectSameBits(await run(moved, layOut(moved, [sequence]), scale), rows);
  }
});

describeCases('attention', 'however rows are cut into tiles', batches, title, async (one) => {
  const sequences = sequencesOf(one);
  const scale = scaleOf(one, sequences);
  const together = await run(one, layOut(one, sequences), scale);
  for (const rows of [1, 7, tileRows(one.variant) - 1]) {
    const prefix = (s: number) => (11 * rows) % one.lengths[s]!;
    expectSameBits(await run(one, layOut(one, sequences, { rows, prefix }), scale), together);
  }
  expectSameBits(await run(one, layOut(one, sequences, { allKeys: true }), scale), together);
  const width = one.heads * one.D;
  const last = sequences.map(({ query, keyValue }) => ({ query: query.slice(-width), keyValue }));
  let end = 0;
  const expected = sequences.flatMap(({ query }) => [...together.subarray((end += query.length) - width, end)]);
  expectSameBits(await run(one, layOut(one, last), scale), Float32Array.from(expected));
});

describeCases('attention', 'wherever a prefix is cut', batches, title, async (one) => {
  // Steps of 16 keys: the cut goes through the first, the second and the third.
  const [sequence] = sequencesOf({ ...one, lengths: [37] });
  const scale = scaleOf(one, [sequence!]);
  const alone = await run(one, layOut(one, [sequence!]), scale);
  const copies = Array<typeof sequence>(37).fill(sequence) as [];
  const cut = await run(one, layOut(one, copies, { prefix: (s) => s }), scale);
  for (let s = 0; s < 37; s++) {
    expectSameBits(cut.subarray(s * alone.length, (s + 1) * alone.length), alone);
  }
});

const ids = (seed: number, length: number) => Int32Array.from(uniform(seed, length, 0, 50));

describeCases('attention', 'prefix computed once = with every sequence', programs, title, async ({ variant, D }) => {
  const one = { variant, D, heads: 2, kvHeads: 1, before: 0 } as const;
  const groups: PrefixGroup[] = [
    { prefix: ids(1, 29), own: [ids(2, 1), ids(3, 40), ids(4, 17)] },
    { prefix: ids(5, 0), own: [ids(6, 20)] },
    { prefix: ids(7, 16), own: [ids(8, 3), ids(9, 18)] },
  ];
  const whole = groups.flatMap(({ prefix, own }) =>
    own.map((rest) => ({ prefix: new Int32Array(0), own: [Int32Array.from([...prefix, ...rest])] })),
  );
  /** Rows as a first layer has them, functions of token and position. @returns what every token, and each last one, is answered */
  const answers = async (groups: readonly PrefixGroup[]) => {
    const { sizes, inputs } = layOutSharedBatch(groups, 0, tileRows(variant));
    const { ids, positions, tiles, scored, scoredTiles } = inputs as Record<string, Uint32Array>;
    const rows = (salt: number, width: number) =>
      Float32Array.from([...ids!].flatMap((id, t) => [...uniform(1000 * positions![t]! + 10 * id + salt, width)]));
    const [query, keyValue] = [rows(1, 2 * D), rows(2, 2 * D)];
    const last = Float32Array.from([...scored!].flatMap((t) => [...query.subarray(t * 2 * D, (t + 1) * 2 * D)]));
    const all = await run(one, { query, keyValue, tiles: tiles! }, D ** -0.5);
    return { sizes, all, last: await run(one, { query: last, keyValue, tiles: scoredTiles! }, D ** -0.5) };
  };
  const [shared, apart] = [await answers(groups), await answers(whole)];
  expect([shared.sizes['T'], apart.sizes['T']]).toEqual([144, 144 + 2 * 29 + 16]);
  expectSameBits(shared.last, apart.last);
  // [prefix | own | own …] against [prefix own | prefix own | …]
  let [row, wholeRow] = [0, 0];
  const part = (rows: Float32Array, first: number, count: number) =>
    rows.subarray(first * 2 * D, (first + count) * 2 * D);
  for (const { prefix, own } of groups) {
    const prefixRows = part(shared.all, row, prefix.length);
    row += prefix.length;
    for (const rest of own) {
      expectSameBits(part(apart.all, wholeRow, prefix.length), prefixRows);
      expectSameBits(part(apart.all, wholeRow + prefix.length, rest.length), part(shared.all, row, rest.length));
      row += rest.length;
      wholeRow += prefix.length + rest.length;
    }
  }
});

describe('attention', () => {
  it.each(variants)('%s is exact where all scores are equal', async (variant) => {
    const one = { ...mixed, variant, D: 4, heads: 2, kvHeads: 2, lengths: [32], mask: 'both ways' } as AttentionCase;
    const query = new Float32Array(32 * 8);
    const keyValue = Float32Array.from({ length: 32 * 16 }, (_, i) => (i % 13) - 6);
    const batch = layOut(one, [{ query, keyValue }]);
    const expected = reference(query, batch.keyValue, batch.asking, { heads: 2, kvHeads: 2, size: 4, scale: 1 });
    expect([...(await run(one, batch, 1))]).toEqual([...expected]);
  });

  it.each(variants)('%s gives a row that sees one key that key’s value', async (variant) => {
    const one = { ...mixed, variant, D: 4, heads: 2, kvHeads: 1, lengths: [40], mask: 'causal' } as AttentionCase;
    const sequences = sequencesOf(one);
    const out = await run(one, layOut(one, sequences, { allKeys: true }), 1e6);
    const value = sequences[0]!.keyValue.subarray(4, 8);
    expectSameBits(out.subarray(0, 8), Float32Array.from([...value, ...value]));
  });

  it('has tiles of 16 rows for CPU rasterisers and of 64 for GPUs', () => {
    const adapters = [
      { software: true, subgroupSize: 8 },
      { software: true, subgroupSize: 0 },
      { software: true, subgroupSize: 4 },
      { software: false, subgroupSize: 8 },
    ];
    expect(adapters.map(chooseAttention)).toEqual(['subgroup', 'blocked', 'blocked', 'registers']);
    expect(allVariants.map(tileRows)).toEqual([16, 16, 64]);
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [query, keyValue, tiles] = [input('q', 'Q', 24), input('kv', 'T', 48), input('tiles', 'N', 8)];
    const attend = (q: typeof query, kv: typeof query, t: typeof query, heads: number, kvHeads = heads) =>
      attention(graph, 'blocked', q, kv, t, { heads, kvHeads, scale: 1 });
    expect(() => attend(query, input('kv', 'T', 24), tiles, 2)).toThrow(
      '[attention] query is 24 wide, keyValue 24, heads 2, kvHeads 2 (expected heads of a multiple of 4 up to 256, ' +
        'a multiple of kvHeads of them, and keyValue twice kvHeads times as wide as one)',
    );
    for (const heads of [0, 4, 5]) expect(() => attend(query, keyValue, tiles, heads)).toThrow(`heads ${heads}, `);
    for (const kvHeads of [0, 1, 2, 4]) {
      expect(() => attend(query, keyValue, tiles, 3, kvHeads)).toThrow(`heads 3, kvHeads ${kvHeads} (`);
    }
    expect(() => attend(input('q', 'Q', 260), input('kv', 'T', 520), tiles, 1)).toThrow('query is 260 wide');
    expect(() => attend(query, keyValue, input('tiles', 'N', 4), 2)).toThrow(
      '[attention] tiles are 4 words (expected [N, 8])',
    );
    expect(() => attend(query, input('kv', 'T', 2, 24), tiles, 2)).toThrow(
      '[attention] keyValue has 3 axes (expected [T, kv]): query f32[Q, 24] · keyValue f32[T, 2, 24] · tiles f32[N, 8]',
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
