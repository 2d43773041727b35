import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { elementwise } from '../../src/ops/elementwise.ts';
import { epilogueKinds, type Epilogue } from '../../src/ops/epilogue.ts';
import { elementwise as reference } from '../reference/elementwise.ts';
import { epilogueOf } from '../support/epilogue-of.ts';
import { runOp, type OpCase } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, uniform } from './values.ts';

type Kind = Epilogue['kind'];

/**
 * Allowed error for a value v before the function and y after it:
 * additions round once each (2^-24 of the sum, and of the residual's sum);
 * GELU: the erf approximation's 1.5e-7 (Abramowitz & Stegun 7.1.26) and f32 rounding of its 5 terms, times |v| / 2;
 * GELU by tanh: y = v / (1 + e), e = exp(-2u): rounding of v + bias (slope at most 1.13), 2^-23 for each of sum and quotient's 2.5
 * units, and e's relative error times 1 - y/v: 3 + 2 |2u| units of exp, and 4 roundings of the argument, each times |2u|;
 * tanh: drivers that build it from exponentials lose a few units of 2^-24 near zero, absolutely.
 */
const bounds: Record<Kind, (v: number, y: number) => number> = {
  none: () => 0,
  bias: (_, y) => 2 ** -24 * Math.abs(y),
  residual: (_, y) => 2 ** -24 * Math.abs(y),
  'bias-residual': (v, y) => 2 ** -24 * (Math.abs(v) + Math.abs(y)),
  'bias-gelu': (v) => 2 ** -24 * Math.abs(v) + (Math.abs(v) / 2) * 1e-6,
  'bias-gelu-tanh': (v, y) => {
    const u2 = Math.min(2 * Math.sqrt(2 / Math.PI) * (Math.abs(v) + 0.044715 * Math.abs(v) ** 3), 70);
    const share = v > 0 ? 1 - y / v : 1;
    return 1.13 * 2 ** -24 * Math.abs(v) + 2 ** -23 * Math.abs(y) * (3 + share * (3 + 4 * u2)) + 1e-27;
  },
  'bias-tanh': () => 5e-7,
};

interface ElementwiseCase extends Case {
  readonly kind: Kind;
  readonly R: number;
  readonly C: number;
  readonly range: number;
  readonly seed: number;
}

// A workgroup covers 64 vectors of 4 columns.
const cases: ElementwiseCase[] = epilogueKinds.flatMap((kind) =>
  [4, 28, 252, 256, 260].flatMap((C, seed) =>
    [1, 7, 64, 65].flatMap((R) => [1, 8, 1e4].map((range) => ({ kind, R, C, range, seed }))),
  ),
);

const valuesOf = ({ R, C, range, seed }: ElementwiseCase) => ({
  x: uniform(seed, R * C, -range, range),
  bias: uniform(seed + 100, C),
  residual: uniform(seed + 200, R * C, -range, range),
});
type Values = ReturnType<typeof valuesOf>;

function record(op: OpCase, kind: Kind, { x, bias, residual }: Values) {
  const C = bias.length;
  op.sizes = { R: x.length / C };
  const input = op.input('x', 'f32', ['R', C], x);
  const epilogue = epilogueOf(
    kind,
    () => op.weight('bias', 'f32', [C], bias),
    () => op.input('residual', 'f32', ['R', C], residual),
  );
  return elementwise(op.graph, input, epilogue);
}

const title = ({ kind, range }: ElementwiseCase) => `${kind}, values within ±${range}`;

describeCases('elementwise', 'sizes', cases, title, async (one) => {
  const values = valuesOf(one);
  const expected = reference(one.kind, values.x, values.bias, values.residual);
  const before = reference('bias', values.x, values.bias, values.residual);
  const bound = (i: number) => bounds[one.kind](before[i]!, expected[i]!);
  expectClose(`elementwise ${title(one)}`, await runOp((op) => record(op, one.kind, values)), expected, bound);
});

const batches = cases.filter(({ R, C, range }) => R === 65 && C === 28 && range === 8);
describeCases('elementwise', 'alone = in a batch', batches, title, async (one) => {
  const { x, bias, residual } = valuesOf(one);
  const all = await runOp((op) => record(op, one.kind, { x, bias, residual }));
  for (const [first, end] of [
    [0, 1],
    [7, 16],
    [64, 65],
  ] as const) {
    const rows = [first * one.C, end * one.C] as const;
    const alone = { x: x.slice(...rows), bias, residual: residual.slice(...rows) };
    expectSameBits(await runOp((op) => record(op, one.kind, alone)), all.subarray(...rows));
  }
});

describe('elementwise', () => {
  it.each(epilogueKinds)('%s lets nothing that is not finite become a number', async (kind) => {
    const x = Float32Array.of(Number.NaN, Infinity, -Infinity, 1);
    const values = { x, bias: new Float32Array(4), residual: new Float32Array(4) };
    const out = await runOp((op) => record(op, kind, values));
    expect([...out].map(Number.isFinite).slice(0, 2)).toEqual([false, false]);
    expect(out[3]).toSatisfy(Number.isFinite);
  });

  it('gives the limits of GELU and tanh far from zero, and zero at zero', async () => {
    const x = Float32Array.of(0, -0, 1e-30, -1e-30, 30, -30, 1e30, -1e30);
    const values = { x, bias: new Float32Array(8), residual: x };
    const gelu = await runOp((op) => record(op, 'bias-gelu', values));
    expect([...gelu].map((v) => v + 0)).toEqual([0, 0, expect.closeTo(0, 29), expect.closeTo(0, 29), 30, 0, x[6], 0]);
    const geluTanh = await runOp((op) => record(op, 'bias-gelu-tanh', values));
    const half = expect.closeTo(0, 29) as number; // of ±1e-30
    expect([...geluTanh].map((v) => v + 0)).toEqual([
      0,
      0,
      half,
      half,
      30,
      expect.closeTo(0, 27),
      x[6],
      expect.closeTo(0, 27),
    ]);
    const tanh = await runOp((op) => record(op, 'bias-tanh', values));
    expect(largest(tanh.map((v, i) => v - Math.tanh(x[i]!)))).toBeLessThanOrEqual(bounds['bias-tanh'](0, 0));
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const values = { x: uniform(1, 32_769 * 256), bias: uniform(2, 256), residual: new Float32Array() };
    const out = await runOp((op) => record(op, 'bias', values));
    expectSameBits(
      out,
      values.x.map((v, i) => v + values.bias[i % 256]!),
    );
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [x, bias] = [input('x', 'R', 8), input('b', 8)];
    expect(() => elementwise(graph, x, { kind: 'bias', bias: input('b', 12) })).toThrow(
      '[elementwise] N of bias is 12 (expected 8 as before): x f32[R, 8] · bias f32[12]',
    );
    expect(() => elementwise(graph, x, { kind: 'bias-residual', bias, residual: input('r', 'S', 8) })).toThrow(
      'R of residual is S (expected R as before)',
    );
    expect(() => elementwise(graph, input('y', 'R', 6), { kind: 'none' })).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('N is 6') as string }),
    );
  });
});
