import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { injectModes, injectRows, noRow, type InjectMode } from '../../src/ops/inject-rows.ts';
import { injectRows as reference } from '../reference/inject-rows.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { uniform } from './values.ts';

interface InjectCase extends Case {
  readonly mode: InjectMode;
  readonly C: number;
  /** Row of the source for each row of x, or -1. */
  readonly rows: readonly number[];
  readonly seed: number;
}

const sourceRows = 40;

const run = (x: Float32Array, { mode, C, rows }: Pick<InjectCase, 'mode' | 'C' | 'rows'>, source: Float32Array) =>
  runOp((op) => {
    op.sizes = { T: rows.length, V: source.length / C };
    const named = Uint32Array.from(rows, (row) => (row < 0 ? noRow : row));
    const from = op.input('source', 'f32', ['V', C], source);
    return injectRows(op.graph, op.input('x', 'f32', ['T', C], x), op.input('rows', 'u32', ['T'], named), from, mode);
  });

const valuesOf = ({ C, rows, seed }: InjectCase) => ({
  x: uniform(seed, rows.length * C),
  source: uniform(seed + 100, sourceRows * C, -4, 4),
});

// A workgroup covers 64 vectors of 4 columns.
const lists = [
  [-1],
  [39],
  [-1, 0, 1, 2, -1, -1, 39, 0, -1],
  Array.from({ length: 65 }, (_, t) => (t % 5 === 0 ? -1 : (t * 7) % sourceRows)),
];
const cases: InjectCase[] = injectModes.flatMap((mode) =>
  [4, 28, 60, 64, 68, 252, 256, 260, 2048].flatMap((C, seed) => lists.map((rows) => ({ mode, C, rows, seed }))),
);

const title = ({ mode, C }: InjectCase) => `${mode}, ${C} columns`;

describeCases('inject-rows', 'sizes', cases, title, async (one) => {
  const { x, source } = valuesOf(one);
  const expected = reference(x, one.rows, source, one.C, one.mode);
  const out = await run(x, one, source);
  expectClose(`inject-rows ${one.mode}`, out, expected, (i) => {
    const copied = one.mode === 'replace' || one.rows[Math.floor(i / one.C)]! < 0;
    return copied ? 0 : 2 ** -24 * Math.abs(expected[i]!);
  });
});

const batches = cases.filter(({ C, rows }) => C === 68 && rows.length === 9);
describeCases('inject-rows', 'alone = in a batch', batches, title, async (one) => {
  const { x, source } = valuesOf(one);
  const all = await run(x, one, source);
  for (const [first, end] of [
    [0, 1],
    [3, 8],
    [8, 9],
  ] as const) {
    const rows = one.rows.slice(first, end);
    const alone = await run(x.slice(first * one.C, end * one.C), { ...one, rows }, source);
    expectSameBits(alone, all.subarray(first * one.C, end * one.C));
  }
});

describe('inject-rows', () => {
  it('copies bits: of x where no row is named, NaN and -0 too, and of the source where it replaces', async () => {
    const x = Float32Array.of(-0, Infinity, 1e-45, Number.NaN, 1, 1, 1, 1);
    const source = Float32Array.of(9, 9, 9, 9, -0, -Infinity, 1e-45, Number.NaN);
    const out = await run(x, { mode: 'replace', C: 4, rows: [-1, 1] }, source);
    expectSameBits(out, Float32Array.of(...x.subarray(0, 4), ...source.subarray(4)));
  });

  it('reads nothing of a source that is empty for this batch', async () => {
    const x = uniform(1, 9 * 4);
    const rows = Array.from({ length: 9 }, () => -1);
    expectSameBits(await run(x, { mode: 'add', C: 4, rows }, new Float32Array()), x);
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const rows = Array.from({ length: 32_769 * 64 }, (_, t) => (t % 9) - 1);
    const [x, source] = [uniform(1, 4 * rows.length), uniform(2, 8 * 4)];
    const out = await run(x, { mode: 'replace', C: 4, rows }, source);
    expectSameBits(out, Float32Array.from(reference(x, rows, source, 4, 'replace')));
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const f32 = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [x, rows] = [f32('x', 'T', 8), graph.input('rows', 'u32', ['T'])];
    expect(() => injectRows(graph, x, rows, f32('source', 'V', 12), 'add')).toThrow(
      '[injectRows] C of source is 12 (expected 8 as before): x f32[T, 8] · rows u32[T] · source f32[V, 12]',
    );
    expect(() => injectRows(graph, x, graph.input('rows', 'u32', ['S']), f32('source', 'V', 8), 'add')).toThrow(
      'T of rows is S (expected T as before)',
    );
    expect(() => injectRows(graph, f32('x', 'T', 6), rows, f32('source', 'V', 6), 'replace')).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 6') as string }),
    );
  });
});
