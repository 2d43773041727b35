import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { gatherRows } from '../../src/ops/gather-rows.ts';
import { gatherRows as reference } from '../reference/gather-rows.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectSameBits, type Case } from './cases.ts';
import { uniform } from './values.ts';

interface GatherCase extends Case {
  readonly T: number;
  readonly C: number;
  readonly rows: readonly number[];
  readonly seed: number;
}

const gather = (x: Float32Array, C: number, rows: ArrayLike<number>) =>
  runOp((op) => {
    op.sizes = { T: x.length / C, S: rows.length };
    const indices = op.input('rows', 'u32', ['S'], Uint32Array.from(rows));
    return gatherRows(op.graph, op.input('x', 'f32', ['T', C], x), indices);
  });

// A workgroup covers 64 vectors of 4 columns.
const cases: GatherCase[] = [4, 28, 60, 64, 68, 252, 256, 260, 1024].flatMap((C, seed) => [
  { T: 1, C, rows: [0], seed },
  { T: 9, C, rows: [8, 0, 3, 3, 8], seed },
  { T: 130, C, rows: Array.from({ length: 65 }, (_, i) => (i * 37) % 130), seed },
]);

describeCases(
  'gather-rows',
  'exact',
  cases,
  ({ C }) => `${C} columns`,
  async ({ T, C, rows, seed }) => {
    const x = uniform(seed, T * C);
    expectSameBits(await gather(x, C, rows), Float32Array.from(reference(x, rows, C)));
  },
);

describeCases(
  'gather-rows',
  'alone = in a batch',
  cases.slice(0, 9),
  ({ C }) => `${C} columns`,
  async (one) => {
    const x = uniform(one.seed, one.T * one.C);
    const all = await gather(x, one.C, one.rows);
    const last = one.rows.length - 1;
    expectSameBits(await gather(x, one.C, [one.rows[last]!]), all.subarray(last * one.C));
  },
);

describe('gather-rows', () => {
  it('folds more workgroups than one axis of a dispatch has', async () => {
    const rows = Uint32Array.from({ length: 32_769 * 64 }, (_, i) => i % 7);
    const x = uniform(1, 7 * 4);
    const out = await gather(x, 4, rows);
    expectSameBits(out, Float32Array.from(reference(x, rows, 4)));
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', ['T', 8]);
    const rows = graph.input('rows', 'u32', ['S']);
    expect(() => gatherRows(graph, rows, rows)).toThrow(
      '[gatherRows] x has 1 axes (expected [T, C]): x u32[S] · rows u32[S]',
    );
    expect(() => gatherRows(graph, graph.input('y', 'f32', ['T', 6]), rows)).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 6') as string }),
    );
    expect(() => gatherRows(graph, graph.input('z', 'f32', ['T', 'C']), rows)).toThrow(
      '[gatherRows] C is C (expected a length',
    );
    expect(() => gatherRows(graph, x, x)).toThrow('rows has 2 axes (expected [S])');
  });
});
