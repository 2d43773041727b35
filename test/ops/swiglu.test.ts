import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { swiglu } from '../../src/ops/swiglu.ts';
import { swiglu as reference } from '../reference/swiglu.ts';
import { runOp } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { uniform } from './values.ts';

/**
 * The header's promise. WGSL allows exp 3 + 2|v| units of 2^-23, which reach the quotient by 1 - sigmoid; 5 more are the sum, the
 * division's 2.5 and the product. Below -87 the clamp holds silu at 1.7e-38 v instead of zero.
 */
function allowed(gate: number, up: number, out: number): number {
  const falling = 1 / (1 + Math.exp(gate));
  return (8 + 2 * falling * Math.abs(gate)) * 2 ** -23 * Math.abs(out) + 2e-38 * (1 + Math.abs(gate * up));
}

interface GateCase extends Case {
  readonly R: number;
  readonly F: number;
  readonly range: number;
  readonly seed: number;
}

// A workgroup covers 64 vectors of 4 columns.
const cases: GateCase[] = [4, 28, 252, 256, 260, 3072].flatMap((F, seed) =>
  [1, 7, 64, 65].flatMap((R) => [1, 20, 100, 1e4, 1e6].map((range) => ({ R, F, range, seed }))),
);

interface Operands {
  readonly gate: Float32Array;
  readonly up: Float32Array;
}

const valuesOf = ({ R, F, range, seed }: GateCase): Operands => ({
  gate: uniform(seed, R * F, -range, range),
  up: uniform(seed + 100, R * F, -range, range),
});

const run = ({ gate, up }: Operands, F: number) =>
  runOp((op) => {
    op.sizes = { R: gate.length / F };
    return swiglu(op.graph, op.input('gate', 'f32', ['R', F], gate), op.input('up', 'f32', ['R', F], up));
  });

function expectGated(what: string, { gate, up }: Operands, actual: Float32Array): void {
  const expected = reference(gate, up);
  expectClose(what, actual, expected, (i) => allowed(gate[i]!, up[i]!, expected[i]!));
}

const rows = ({ gate, up }: Operands, F: number, first: number, end: number): Operands => ({
  gate: gate.slice(first * F, end * F),
  up: up.slice(first * F, end * F),
});

const title = ({ F, range }: GateCase) => `${F} columns, values within ±${range}`;

describeCases('swiglu', 'sizes', cases, title, async (one) => {
  const values = valuesOf(one);
  expectGated(`swiglu within ±${one.range}`, values, await run(values, one.F));
});

const batches = cases.filter(({ R, F }) => R === 65 && (F === 28 || F === 260));
describeCases('swiglu', 'alone = in a batch', batches, title, async (one) => {
  const values = valuesOf(one);
  const all = await run(values, one.F);
  for (const [first, end] of [
    [0, 1],
    [7, 16],
    [64, 65],
  ] as const) {
    const alone = await run(rows(values, one.F, first, end), one.F);
    expectSameBits(alone, all.subarray(first * one.F, end * one.F));
  }
});

describe('swiglu', () => {
  it('is the gate far above zero, nothing far below, and exact at zero', async () => {
    const gate = Float32Array.of(0, -0, 30, 87, 88, 1e6, 1e30, -86, -87, -88, -90, -1e3, -1e6, -1e30, 1e-30, -1e-30);
    const values = { gate, up: gate.map(() => 1) };
    const out = await run(values, gate.length);
    expectGated('swiglu limits', values, out);
    expect([...out.subarray(0, 7)].map((v) => v + 0)).toEqual([0, 0, ...gate.subarray(2, 7)]);
  });

  it('rises without a gap where the exponent is clamped', async () => {
    const gate = Float32Array.from({ length: 4096 }, (_, i) => -92 + i / 512);
    const values = { gate, up: gate.map(() => 1e6) };
    expectGated('swiglu clamp', values, await run(values, gate.length));
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const block = uniform(1, 65_521, -4, 4); // a prime length: no two rows are the same
    const repeated = (from: number) => new Float32Array(32_770 * 256).map((_, i) => block[(from + i) % block.length]!);
    const values = { gate: repeated(0), up: repeated(1000) };
    const out = await run(values, 256);
    // A workgroup covers one row.
    for (const r of [0, 1, 32_767, 32_768, 32_769]) {
      expectGated('swiglu folded', rows(values, 256, r, r + 1), out.subarray(r * 256, (r + 1) * 256));
    }
    expect(out.some(Number.isNaN)).toBe(false);
  });

  it('refuses shapes that do not fit', () => {
    const graph = new Graph();
    const input = (...shape: (number | string)[]) => graph.input('x', 'f32', shape);
    const fit = input('R', 8);
    expect(() => swiglu(graph, input(8), fit)).toThrow('[swiglu] gate has 1 axes (expected [R, F]): gate f32[8]');
    expect(() => swiglu(graph, fit, input('R', 12))).toThrow('[swiglu] F of up is 12 (expected 8 as before)');
    expect(() => swiglu(graph, input('R', 'F'), input('R', 'F'))).toThrow(
      'F is F (expected a length that does not depend',
    );
    expect(() => swiglu(graph, input('R', 6), input('R', 6))).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('F is 6') as string }),
    );
  });
});
