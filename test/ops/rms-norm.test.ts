import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { rmsNorm as reference } from '../reference/rms-norm.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, uniform } from './values.ts';

/**
 * The header's promise, relative to each element: nothing cancels. In units of 2^-24 the mean has 27 additions of C = 4096 and
 * a division, of which the root leaves half; root and division by it are allowed 6, the two products 2: 24 at the worst.
 */
const relativeError = 2e-6;

// The squares of the first and of the last two are no f32. Adapters may read values below 1.2e-38 as zero.
const magnitudes = [1e-20, 1e-6, 1, 1e4, 1e6, 1e18, 1e27] as const;
const shapes = ['uniform', 'outlier', 'constant'] as const;

interface NormCase extends Case {
  readonly rows: number;
  readonly C: number;
  readonly magnitude: number;
  readonly shape: (typeof shapes)[number];
  readonly eps: number;
  readonly seed: number;
}

// A workgroup of 64 threads reads 256 columns a step.
const cases: NormCase[] = [4, 28, 128, 256, 260, 1024, 4096].flatMap((C, seed) =>
  magnitudes.flatMap((magnitude) =>
    shapes.flatMap((shape) =>
      [
        { rows: 9, eps: 1e-6 },
        { rows: 1, eps: 1e-12 },
      ].map((one) => ({ ...one, C, magnitude, shape, seed })),
    ),
  ),
);

function values({ rows, C, magnitude, shape, seed }: NormCase) {
  const x = uniform(seed, rows * C);
  // A few channels of Qwen's residual stream are thousands of times the others.
  const shaped = {
    uniform: (v: number) => v,
    outlier: (v: number, i: number) => (i % C === C >> 1 ? Math.sign(v) : v * 1e-4),
    constant: () => 0.9,
  }[shape];
  return { x: x.map((v, i) => magnitude * shaped(v, i)), weight: uniform(seed + 100, C, -0.5, 9) };
}

const run = (x: Float32Array, weight: Float32Array, eps: number) =>
  runOp((op) => {
    const C = weight.length;
    op.sizes = { R: x.length / C };
    return rmsNorm(op.graph, op.input('x', 'f32', ['R', C], x), op.weight('weight', 'f32', [C], weight), eps);
  });

const title = ({ C, magnitude }: NormCase) => `${C} columns, values within ±${magnitude}`;

describeCases('rms-norm', 'sizes', cases, title, async (one) => {
  const { x, weight } = values(one);
  const expected = reference(x, weight, one.eps);
  const bound = (i: number) => relativeError * Math.abs(expected[i]!);
  expectClose(`rms-norm ${one.C} columns`, await run(x, weight, one.eps), expected, bound);
});

const batches = cases.filter(({ rows, shape }) => rows === 9 && shape === 'outlier');
describeCases('rms-norm', 'alone = in a batch', batches, title, async (one) => {
  const { x, weight } = values(one);
  const all = await run(x, weight, one.eps);
  for (const r of [0, 4, 8]) {
    const alone = await run(x.slice(r * one.C, (r + 1) * one.C), weight, one.eps);
    expectSameBits(alone, all.subarray(r * one.C, (r + 1) * one.C));
  }
});

describe('rms-norm', () => {
  it('gives the same bits for a row times a power of two, up to the largest magnitudes', async () => {
    const [x, weight] = [uniform(1, 1024), uniform(2, 1024)];
    // With eps far below the mean square the scale cancels: only overflow or a lost square would tell.
    const times = (power: number) =>
      run(
        x.map((v) => v * 2 ** power),
        weight,
        1e-12,
      );
    const expected = await times(20);
    for (const power of [40, 60, 89]) expectSameBits(await times(power), expected);
  });

  it('gives zeros for a row of zeros', async () => {
    const out = await run(new Float32Array(2 * 28), uniform(1, 28), 1e-6);
    expect(largest(out)).toBe(0);
  });

  it('folds more rows than one axis of a dispatch has', async () => {
    const weight = Float32Array.of(1, 2, 3, 4);
    const x = uniform(5, 32_770 * 4);
    const expected = reference(x, weight, 1e-6);
    const bound = (i: number) => relativeError * Math.abs(expected[i]!);
    expectClose('rms-norm folded', await run(x, weight, 1e-6), expected, bound);
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [x, w] = [input('x', 'R', 8), input('w', 8)];
    expect(() => rmsNorm(graph, x, input('b', 12), 1e-6)).toThrow(
      '[rmsNorm] C of weight is 12 (expected 8 as before): x f32[R, 8] · weight f32[12]',
    );
    expect(() => rmsNorm(graph, w, w, 1e-6)).toThrow('[rmsNorm] x has 1 axes (expected [R, C])');
    expect(() => rmsNorm(graph, input('y', 'R', 10), input('odd', 10), 1e-6)).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 10') as string }),
    );
  });

  it.each([0, 1e-13, -1e-6, 2, Number.NaN])('refuses eps %s', (eps) => {
    const graph = new Graph();
    const message = `[rmsNorm] eps is ${eps} (expected 1e-12 … 1: smaller squares are lost)`;
    expect(() => rmsNorm(graph, graph.input('x', 'f32', ['R', 8]), graph.input('w', 'f32', [8]), eps)).toThrow(
      expect.objectContaining({ code: 'config-invalid', message }),
    );
  });
});
