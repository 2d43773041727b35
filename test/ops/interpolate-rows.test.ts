import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { interpolateRows } from '../../src/ops/interpolate-rows.ts';
import { Random } from '../fuzz/random.ts';
import { interpolateRows as reference } from '../reference/interpolate-rows.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { storageDtypes, store, uniform, type StorageDtype } from './values.ts';

interface InterpolateCase extends Case {
  readonly dtype: StorageDtype;
  readonly R: number;
  readonly C: number;
  readonly seed: number;
}

const tableRows = 49;

// A workgroup covers 64 vectors of 4 columns.
const cases: InterpolateCase[] = storageDtypes.flatMap((dtype) =>
  [4, 28, 60, 64, 68, 252, 256, 260, 1152].flatMap((C, seed) =>
    [1, 7, 64, 65].map((R) => ({ dtype, R, C, seed: seed + R })),
  ),
);

function valuesOf({ dtype, R, C, seed }: InterpolateCase) {
  const random = new Random(seed);
  return {
    x: uniform(seed, R * C, -3, 3),
    rows: Uint32Array.from({ length: 4 * R }, () => random.below(tableRows)),
    weights: uniform(seed + 100, 4 * R),
    table: store(dtype, uniform(seed + 200, tableRows * C)),
  };
}
type Values = ReturnType<typeof valuesOf>;

const run = ({ dtype, C }: InterpolateCase, { x, rows, weights, table }: Values) =>
  runOp((op) => {
    op.sizes = { R: x.length / C };
    const operand = op.input('x', 'f32', ['R', C], x);
    const at = op.input('rows', 'u32', ['R', 4], rows);
    const shares = op.input('weights', 'f32', ['R', 4], weights);
    return interpolateRows(op.graph, operand, at, shares, op.weight('table', dtype, [tableRows, C], table.words));
  });

/** The header's bound. */
function boundOf({ C }: InterpolateCase, { rows, weights, table }: Values, expected: Float64Array) {
  return (i: number) => {
    let sum = 0;
    for (let k = 4 * Math.floor(i / C), end = k + 4; k < end; k++) {
      sum += Math.abs(weights[k]! * table.values[rows[k]! * C + (i % C)]!);
    }
    return 2 ** -24 * (Math.abs(expected[i]!) + 4 * sum);
  };
}

const title = ({ dtype, C }: InterpolateCase) => `${dtype} table, ${C} columns`;

describeCases('interpolate-rows', 'sizes', cases, title, async (one) => {
  const values = valuesOf(one);
  const expected = reference(values.x, values.rows, values.weights, values.table.values, one.C);
  expectClose('interpolate-rows', await run(one, values), expected, boundOf(one, values, expected));
});

const batches = cases.filter(({ R, C }) => R === 65 && C === 68);
describeCases('interpolate-rows', 'alone = in a batch', batches, title, async (one) => {
  const { x, rows, weights, table } = valuesOf(one);
  const all = await run(one, { x, rows, weights, table });
  for (const [first, end] of [
    [0, 1],
    [7, 16],
    [64, 65],
  ] as const) {
    const own = {
      x: x.slice(first * one.C, end * one.C),
      rows: rows.slice(4 * first, 4 * end),
      weights: weights.slice(4 * first, 4 * end),
      table,
    };
    expectSameBits(await run(one, own), all.subarray(first * one.C, end * one.C));
  }
});

describe('interpolate-rows', () => {
  it('adds a row as it is where its weight is one', async () => {
    const one: InterpolateCase = { dtype: 'f32', R: 9, C: 28, seed: 1 };
    const values = valuesOf(one);
    const weights = Float32Array.from({ length: 36 }, (_, i) => (i % 4 === Math.floor(i / 4) % 4 ? 1 : 0));
    const out = await run(one, { ...values, weights });
    const expected = reference(values.x, values.rows, weights, values.table.values, one.C);
    expectSameBits(out, Float32Array.from(expected));
  });

  it('adds up in the order in which rows are listed, and x last', async () => {
    // 2^25 swallows a 1 beside it: what is left tells which sums were made first.
    const big = 2 ** 25;
    const table = Float32Array.from([big, 1, -big, 1].flatMap((v) => [v, v, v, v]));
    const results = [];
    for (const rows of [
      [0, 1, 2, 3],
      [0, 2, 1, 3],
      [1, 3, 0, 2],
    ]) {
      const [out] = await runOp((op) => {
        op.sizes = { R: 1 };
        const x = op.input('x', 'f32', ['R', 4], Float32Array.of(0.5, 0.5, 0.5, 0.5));
        const at = op.input('rows', 'u32', ['R', 4], Uint32Array.from(rows));
        const weights = op.input('weights', 'f32', ['R', 4], Float32Array.of(1, 1, 1, 1));
        return interpolateRows(op.graph, x, at, weights, op.weight('table', 'f32', [4, 4], table));
      });
      results.push(out);
    }
    expect(results).toEqual([1.5, 2.5, 0.5]);
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const [R, C] = [32_769, 256];
    const one: InterpolateCase = { dtype: 'bf16', R, C, seed: 2 };
    const values = valuesOf(one);
    const out = await run(one, values);
    expect(out.some(Number.isNaN)).toBe(false);
    for (const r of [0, 1, 32_767, 32_768]) {
      const [rows, weights] = [values.rows.slice(4 * r, 4 * r + 4), values.weights.slice(4 * r, 4 * r + 4)];
      const own = { ...values, x: values.x.slice(r * C, (r + 1) * C), rows, weights };
      const expected = reference(own.x, rows, weights, values.table.values, C);
      expectClose('interpolate-rows', out.subarray(r * C, (r + 1) * C), expected, boundOf(one, own, expected));
    }
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const f32 = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const rows = (...shape: (number | string)[]) => graph.input('rows', 'u32', shape);
    const [x, weights, table] = [f32('x', 'R', 8), f32('weights', 'R', 4), f32('table', 9, 8)];
    expect(() => interpolateRows(graph, x, rows('R', 3), weights, table)).toThrow(
      '[interpolateRows] K of weights is 4 (expected 3 as before): x f32[R, 8] · rows u32[R, 3] · weights f32[R, 4]',
    );
    expect(() => interpolateRows(graph, x, rows('R', 16), f32('weights', 'R', 16), table)).toThrow(
      '[interpolateRows] 16 rows are added (expected 4)',
    );
    expect(() => interpolateRows(graph, x, rows('R', 4), weights, f32('table', 9, 12))).toThrow(
      '[interpolateRows] C of table is 12 (expected 8 as before)',
    );
    expect(() => interpolateRows(graph, f32('x', 'R', 6), rows('R', 4), weights, f32('table', 9, 6))).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 6') as string }),
    );
  });
});
