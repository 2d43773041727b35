import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { layerNorm as reference } from '../reference/layer-norm.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, uniform } from './values.ts';

/** The header's promise: rounding of the normalised value, the scale and the shift. */
const relativeError = 2e-6;
/**
 * Rounding of the mean, relative to it: half a unit of f32 for each addition that an element goes through (its thread's share,
 * 3 to join four columns, 6 of the workgroup's tree) and 2 for the division. Division by the standard deviation magnifies it,
 * so that it matters for rows far from zero.
 */
const meanError = (columns: number) => (Math.ceil(columns / 256) + 11) * 2 ** -24;

const eps = 1e-5;
const kinds = ['unit', 'mean-10-std', 'mean-100-std', 'tiny-variance', 'constant', 'wide-range'] as const;
type Kind = (typeof kinds)[number];

interface NormCase extends Case {
  readonly rows: number;
  readonly C: number;
  readonly kind: Kind;
  readonly seed: number;
}

// A workgroup of 64 threads reads 256 columns a step.
const cases: NormCase[] = [4, 28, 64, 72, 252, 256, 260, 1024, 1152, 4096, 4608].flatMap((C, seed) =>
  kinds.flatMap((kind) => [1, 2, 9].map((rows) => ({ rows, C, kind, seed }))),
);

function values({ rows, C, kind, seed }: NormCase) {
  const x = uniform(seed, rows * C);
  const shape = {
    unit: (v: number) => v,
    'mean-10-std': (v: number) => 5.77 + v, // uniform -1 … 1 has std 0.577
    'mean-100-std': (v: number) => 57.7 + v,
    'tiny-variance': (v: number) => 3 + 1e-4 * v,
    constant: () => 0.1 + seed,
    'wide-range': (v: number) => 1e6 * v ** 3,
  }[kind];
  return { x: x.map(shape), weight: uniform(seed + 100, C, 0.5, 1.5), bias: uniform(seed + 200, C) };
}

const run = (x: Float32Array, weight: Float32Array, bias: Float32Array) =>
  runOp((op) => {
    const C = weight.length;
    op.sizes = { R: x.length / C };
    const w = op.weight('weight', 'f32', [C], weight);
    return layerNorm(op.graph, op.input('x', 'f32', ['R', C], x), w, op.weight('bias', 'f32', [C], bias), eps);
  });

/** |mean| / sqrt(variance + eps) of one row. */
function ratioToDeviation(x: Float32Array): number {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  return Math.abs(mean) / Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length + eps);
}

describeCases(
  'layer-norm',
  'sizes',
  cases,
  ({ C, kind }) => `${C} columns, ${kind}`,
  async (one) => {
    const { x, weight, bias } = values(one);
    const expected = reference(x, weight, bias, eps);
    const base = relativeError * largest(expected);
    const perRow = Array.from({ length: one.rows }, (_, r) => {
      const row = x.subarray(r * one.C, (r + 1) * one.C);
      return base + meanError(one.C) * ratioToDeviation(row) * largest(weight);
    });
    expectClose(`layer-norm ${one.kind}`, await run(x, weight, bias), expected, (i) => perRow[Math.floor(i / one.C)]!);
  },
);

const batches = cases.filter(({ rows, kind }) => rows === 9 && kind !== 'constant');
describeCases(
  'layer-norm',
  'alone = in a batch',
  batches,
  ({ C }) => `${C} columns`,
  async (one) => {
    const { x, weight, bias } = values(one);
    const all = await run(x, weight, bias);
    for (const r of [0, 4, 8]) {
      const alone = await run(x.slice(r * one.C, (r + 1) * one.C), weight, bias);
      expectSameBits(alone, all.subarray(r * one.C, (r + 1) * one.C));
    }
  },
);

describe('layer-norm', () => {
  it('folds more rows than one axis of a dispatch has', async () => {
    const weight = Float32Array.of(1, 2, 3, 4);
    const x = uniform(5, 32_770 * 4);
    const out = await run(x, weight, weight);
    expectClose('layer-norm folded', out, reference(x, weight, weight, eps), 1e-5 * largest(out));
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [x, w] = [input('x', 'R', 8), input('w', 8)];
    expect(() => layerNorm(graph, x, w, input('b', 12), eps)).toThrow(
      '[layerNorm] C of bias is 12 (expected 8 as before): x f32[R, 8] · weight f32[8] · bias f32[12]',
    );
    expect(() => layerNorm(graph, w, w, w, eps)).toThrow('[layerNorm] x has 1 axes (expected [R, C])');
    const odd = input('odd', 10);
    expect(() => layerNorm(graph, input('y', 'R', 10), odd, odd, eps)).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 10') as string }),
    );
  });
});
