import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { head } from '../../src/ops/head.ts';
import { head as reference } from '../reference/head.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, uniform } from './values.ts';

/**
 * C additions round partial sums that grow with sqrt(k): their roundings of random sign come to about 6e-9 C for products within
 * ±1, and to less in four partial sums; the worst rows, whose sums run high, have several times that. The 16 is for the few large roundings of short sums.
 */
const relativeError = (C: number) => 8e-8 * (C + 16);

interface HeadCase extends Case {
  readonly S: number;
  readonly C: number;
  readonly seed: number;
}

// A workgroup has 64 rows.
const cases: HeadCase[] = [4, 8, 12, 64, 68, 1024, 4096].flatMap((C, seed) =>
  [1, 2, 63, 64, 65, 130].map((S) => ({ S, C, seed })),
);

const values = ({ S, C, seed }: HeadCase) => {
  return { x: uniform(seed, S * C), weight: uniform(seed + 100, C), bias: uniform(seed + 200, 1, 2, 4) };
};

const run = (x: Float32Array, weight: Float32Array, bias: Float32Array) =>
  runOp((op) => {
    op.sizes = { S: x.length / weight.length };
    const w = op.weight('weight', 'f32', [weight.length], weight);
    return head(op.graph, op.input('x', 'f32', ['S', weight.length], x), w, op.weight('bias', 'f32', [1], bias));
  });

describeCases(
  'head',
  'sizes',
  cases,
  ({ C }) => `${C} columns`,
  async (one) => {
    const { x, weight, bias } = values(one);
    const bound = relativeError(one.C) * largest(x) * largest(weight) + 2 ** -24 * largest(bias);
    expectClose('head', await run(x, weight, bias), reference(x, weight, bias[0]!), bound);
  },
);

describeCases(
  'head',
  'alone = in a batch',
  cases.filter(({ S }) => S === 65),
  ({ C }) => `${C} columns`,
  async (one) => {
    const { x, weight, bias } = values(one);
    const all = await run(x, weight, bias);
    for (const s of [0, 31, 63, 64]) {
      const alone = await run(x.slice(s * one.C, (s + 1) * one.C), weight, bias);
      expectSameBits(alone, all.subarray(s, s + 1));
    }
  },
);

describe('head', () => {
  it('is exact where every product and sum is', async () => {
    const x = Float32Array.from({ length: 64 }, (_, i) => i - 32);
    const weight = Float32Array.from({ length: 64 }, (_, i) => (i % 5) - 2);
    const out = await run(x, weight, Float32Array.of(0.5));
    expect([...out]).toEqual([...reference(x, weight, 0.5)]);
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const x = input('x', 'S', 8);
    expect(() => head(graph, x, input('w', 12), input('b', 1))).toThrow(
      '[head] C of weight is 12 (expected 8 as before): x f32[S, 8] · weight f32[12] · bias f32[1]',
    );
    expect(() => head(graph, input('y', 'S', 6), input('v', 6), input('b', 1))).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 6') as string }),
    );
  });
});
