import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { rotaryTable } from '../../src/nn/rotary.ts';
import { headNormKinds, rope, rotaryAxesKinds, type HeadNorm, type RotaryAxes } from '../../src/ops/rope.ts';
import { Random } from '../fuzz/random.ts';
import { rope as reference } from '../reference/rope.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { uniform } from './values.ts';

type Kind = HeadNorm['kind'];

/**
 * The header's promise, relative to the length of the pair that is turned, which a turn keeps. In units of 2^-24: two products and
 * their sum lose 2; the norm's mean has 37 additions of D = 256 and a division, of which the root leaves half, root and division
 * by it 6, its two products 2: 29 at the worst.
 */
const relativeError: Record<Kind, number> = { none: 2e-7, rms: 2e-6 };

const theta = 1e6;
const positionCount = 300;

interface RopeCase extends Case {
  readonly kind: Kind;
  readonly axes: RotaryAxes['kind'];
  readonly T: number;
  readonly heads: number;
  readonly rotated: number;
  readonly D: number;
  readonly magnitude: number;
  readonly eps: number;
  readonly seed: number;
}

// A workgroup covers 64 heads.
const sizes = [8, 24, 64, 80, 128, 256];
const shapes = [
  { T: 1, heads: 1, rotated: 1 },
  { T: 3, heads: 3, rotated: 2 },
  { T: 9, heads: 7, rotated: 7 },
  { T: 8, heads: 8, rotated: 0 },
  { T: 9, heads: 16, rotated: 8 },
];
const cases: RopeCase[] = rotaryAxesKinds.flatMap((axes) =>
  headNormKinds.flatMap((kind) =>
    sizes.flatMap((D, seed) =>
      shapes.flatMap((shape) =>
        (axes === 'one' ? [1e-3, 1, 1e4, 1e18] : [1]).map((magnitude) => {
          return { kind, axes, ...shape, D, magnitude, eps: 1e-6, seed: seed + shape.T };
        }),
      ),
    ),
  ),
);

/** Positions of a token. */
const axisCount = { one: 1, interleaved: 3, 'row-column': 2 } as const;

/** Height and width end at different frequencies, as no shipped model has it, and time has the rest. */
function axesOf({ axes: kind, D }: RopeCase): RotaryAxes {
  if (kind !== 'interleaved') return { kind };
  const [height, width] = [Math.floor((D * 5) / 32), Math.floor(D / 8)];
  return { kind, sections: [D / 2 - height - width, height, width] };
}

function valuesOf({ axes, T, heads, D, magnitude, seed }: RopeCase) {
  const random = new Random(seed);
  return {
    x: uniform(seed, T * heads * D, -magnitude, magnitude),
    positions: Uint32Array.from({ length: T * axisCount[axes] }, () => random.below(positionCount)),
    weight: uniform(seed + 100, D, -0.5, 9),
    // For rows and columns too: all frequencies differ, so that none can be taken for another.
    table: rotaryTable(positionCount, D, theta),
  };
}
type Values = ReturnType<typeof valuesOf>;

const run = (one: RopeCase, { x, positions, weight, table }: Values) =>
  runOp((op) => {
    const { kind, axes, heads, rotated, D, eps } = one;
    const count = axisCount[axes];
    op.sizes = { T: positions.length / count };
    const operand = op.input('x', 'f32', ['T', heads * D], x);
    const at = op.input('positions', 'u32', axes === 'one' ? ['T'] : ['T', count], positions);
    const angles = op.weight('table', 'f32', [table.length / D, D], table);
    const norm: HeadNorm = kind === 'none' ? { kind } : { kind, weight: op.weight('weight', 'f32', [D], weight), eps };
    return rope(op.graph, operand, at, angles, norm, heads, rotated, axesOf(one));
  });

function expectTurned(what: string, one: RopeCase, { x, positions, weight, table }: Values, actual: Float32Array) {
  const { kind, heads, rotated, D, eps } = one;
  const norm = kind === 'rms' ? { weight, eps } : undefined;
  const expected = reference(x, positions, table, D, heads, rotated, norm, axesOf(one));
  expectClose(what, actual, expected, (i) => {
    if (Math.floor(i / D) % heads >= rotated) return 0;
    const partner = i % D < D / 2 ? i + D / 2 : i - D / 2;
    return relativeError[kind] * Math.hypot(expected[i]!, expected[partner]!);
  });
}

const title = ({ kind, axes, D }: RopeCase) => `norm ${kind}, axes ${axes}, heads of ${D}`;

describeCases('rope', 'sizes', cases, title, async (one) => {
  const values = valuesOf(one);
  expectTurned(`rope, norm ${one.kind}`, one, values, await run(one, values));
});

const batches = cases.filter(({ T, magnitude }) => T === 9 && magnitude === 1);
describeCases('rope', 'alone = in a batch', batches, title, async (one) => {
  const { x, positions, ...rest } = valuesOf(one);
  const [width, count] = [one.heads * one.D, axisCount[one.axes]];
  const all = await run(one, { x, positions, ...rest });
  for (const [first, end] of [
    [0, 1],
    [3, 7],
    [8, 9],
  ] as const) {
    const own = {
      x: x.slice(first * width, end * width),
      positions: positions.slice(first * count, end * count),
      ...rest,
    };
    expectSameBits(await run(one, own), all.subarray(first * width, end * width));
  }
});

describe('rope', () => {
  it('gives a head the same bits wherever it lies in a row', async () => {
    const one: RopeCase = {
      kind: 'rms',
      axes: 'one',
      T: 3,
      heads: 1,
      rotated: 1,
      D: 72,
      magnitude: 1,
      eps: 1e-6,
      seed: 1,
    };
    const values = valuesOf(one);
    const few = await run(one, values);
    const heads = 11;
    const x = new Float32Array(heads * values.x.length);
    for (let h = 0; h < x.length / 72; h++)
      x.set(values.x.subarray(Math.floor(h / heads) * 72).subarray(0, 72), h * 72);
    const many = await run({ ...one, heads, rotated: heads }, { ...values, x });
    for (let h = 0; h < x.length / 72; h++) {
      const t = Math.floor(h / heads);
      expectSameBits(many.subarray(h * 72, (h + 1) * 72), few.subarray(t * 72, (t + 1) * 72));
    }
  });

  it('leaves position 0 as it is, and copies values bit for bit', async () => {
    const one: RopeCase = {
      kind: 'none',
      axes: 'one',
      T: 2,
      heads: 4,
      rotated: 2,
      D: 64,
      magnitude: 1e30,
      eps: 0,
      seed: 3,
    };
    const values = { ...valuesOf(one), positions: Uint32Array.of(0, 1) };
    const out = await run(one, values);
    expectSameBits(out.subarray(0, 256), values.x.subarray(0, 256));
    expectSameBits(out.subarray(256 + 128), values.x.subarray(256 + 128));
  });

  it('scores of turned queries and keys depend on the distance of their positions', async () => {
    const D = 128;
    const one: RopeCase = { kind: 'none', axes: 'one', T: 4, heads: 1, rotated: 1, D, magnitude: 1, eps: 0, seed: 4 };
    const [q, k] = [uniform(1, D), uniform(2, D)];
    const table = rotaryTable(8192, D, theta);
    const positions = Uint32Array.of(9, 2, 4007, 4000);
    const out = await run(one, { x: Float32Array.of(...q, ...k, ...q, ...k), positions, weight: q, table });
    const score = (a: number, b: number) =>
      out.subarray(a * D, (a + 1) * D).reduce((sum, v, d) => sum + v * out[b * D + d]!, 0);
    // An angle of 4,007 is rounded by 2^-13 at the most, and pairs add up to less than 128.
    expect(Math.abs(score(0, 1) - score(2, 3))).toBeLessThan(128 * 2 ** -13);
  });

  it('turns a token whose positions are the same as one position would, bit for bit', async () => {
    const one: RopeCase = { ...cases[0]!, kind: 'rms', axes: 'one', T: 9, heads: 7, rotated: 5, D: 72 };
    const values = valuesOf(one);
    const expected = await run(one, values);
    for (const axes of ['interleaved', 'row-column'] as const) {
      const count = axisCount[axes];
      const positions = Uint32Array.from({ length: count * one.T }, (_, i) => values.positions[Math.floor(i / count)]!);
      expectSameBits(await run({ ...one, axes }, { ...values, positions }), expected);
    }
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const one: RopeCase = {
      kind: 'rms',
      axes: 'one',
      T: 64,
      heads: 64,
      rotated: 40,
      D: 8,
      magnitude: 1,
      eps: 1e-6,
      seed: 5,
    };
    const block = valuesOf(one);
    const [T, width] = [32_770, 512];
    const x = new Float32Array(T * width).map((_, i) => block.x[i % 32_749]!); // a prime: no two rows are the same
    const positions = Uint32Array.from({ length: T }, (_, t) => t % positionCount);
    const out = await run(one, { ...block, x, positions });
    // A workgroup covers one row.
    for (const t of [0, 1, 32_767, 32_768, 32_769]) {
      const row = { ...block, x: x.slice(t * width, (t + 1) * width), positions: positions.slice(t, t + 1) };
      expectTurned('rope, norm rms', one, row, out.subarray(t * width, (t + 1) * width));
    }
    expect(out.some(Number.isNaN)).toBe(false);
  });

  it('refuses shapes that do not fit', () => {
    const graph = new Graph();
    const f32 = (...shape: (number | string)[]) => graph.input('f32', 'f32', shape);
    const at = graph.input('positions', 'u32', ['T']);
    const none = { kind: 'none' } as const;
    const [x, table] = [f32('T', 48), f32(9, 16)];
    expect(() => rope(graph, x, graph.input('positions', 'u32', ['S']), table, none, 3)).toThrow(
      '[rope] T of positions is S (expected T as before): x f32[T, 48] · positions u32[S] · table f32[9, 16]',
    );
    expect(() => rope(graph, x, at, table, { kind: 'rms', weight: f32(8), eps: 1e-6 }, 3)).toThrow(
      '[rope] D of weight is 8 (expected 16 as before)',
    );
    expect(() => rope(graph, x, at, table, { kind: 'rms', weight: f32(16), eps: 0 }, 3)).toThrow('[rope] eps is 0');
    expect(() => rope(graph, x, at, table, none, 4)).toThrow('[rope] rows of x are 48 (expected 4 heads of 16: 64)');
    expect(() => rope(graph, x, at, table, none, 3, 4)).toThrow('[rope] 4 heads are to be turned (expected 0 … 3)');
    const three = graph.input('positions', 'u32', ['T', 3]);
    expect(() => rope(graph, x, at, table, none, 3, 3, { kind: 'interleaved', sections: [4, 2, 2] })).toThrow(
      '[rope] positions has 1 axes (expected [T, A])',
    );
    expect(() => rope(graph, x, three, table, none, 3)).toThrow('[rope] positions has 2 axes (expected [T])');
    expect(() => rope(graph, x, three, table, none, 3, 3, { kind: 'row-column' })).toThrow(
      '[rope] a token has 3 positions (expected 2 for row-column axes)',
    );
    for (const sections of [
      [4, 2, 3],
      [9, -1, 0],
      [4, 1.5, 2.5],
    ] as const) {
      expect(() => rope(graph, x, three, table, none, 3, 3, { kind: 'interleaved', sections })).toThrow(
        `[rope] sections are ${sections.join(', ')} (expected whole numbers that add up to D/2, 8)`,
      );
    }
    for (const D of [12, 264]) {
      expect(() => rope(graph, f32('T', 3 * D), at, f32(9, D), none, 3)).toThrow(
        expect.objectContaining({
          code: 'shape-mismatch',
          message: `[rope] D is ${D} (halves are read four elements at a time: expected a multiple of 8 up to 256)`,
        }),
      );
    }
  });
});
