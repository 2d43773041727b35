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

const valuesOf = ({ R, F, range, seed }: GateCase) => uniform(seed, R * 2 * F, -range, range);

const run = (x: Float32Array, F: number) =>
  runOp((op) => {
    op.sizes = { R: x.length / 2 / F };
    return swiglu(op.graph, op.input('x', 'f32', ['R', 2 * F], x));
  });

function expectGated(what: string, x: Float32Array, F: number, actual: Float32Array): void {
  const expected = reference(x, F);
  expectClose(what, actual, expected, (i) => {
    const gate = Math.floor(i / F) * 2 * F + (i % F);
    return allowed(x[gate]!, x[gate + F]!, expected[i]!);
  });
}

const title = ({ F, range }: GateCase) => `${F} columns, values within ±${range}`;

describeCases('swiglu', 'sizes', cases, title, async (one) => {
  const x = valuesOf(one);
  expectGated(`swiglu within ±${one.range}`, x, one.F, await run(x, one.F));
});

const batches = cases.filter(({ R, F }) => R === 65 && (F === 28 || F === 260));
describeCases('swiglu', 'alone = in a batch', batches, title, async (one) => {
  const x = valuesOf(one);
  const all = await run(x, one.F);
  for (const [first, end] of [
    [0, 1],
    [7, 16],
    [64, 65],
  ] as const) {
    const alone = await run(x.slice(first * 2 * one.F, end * 2 * one.F), one.F);
    expectSameBits(alone, all.subarray(first * one.F, end * one.F));
  }
});

describe('swiglu', () => {
  it('is the gate far above zero, nothing far below, and exact at zero', async () => {
    const gate = Float32Array.of(0, -0, 30, 87, 88, 1e6, 1e30, -86, -87, -88, -90, -1e3, -1e6, -1e30, 1e-30, -1e-30);
    const x = Float32Array.of(...gate, ...gate.map(() => 1));
    const out = await run(x, gate.length);
    expectGated('swiglu limits', x, gate.length, out);
    expect([...out.subarray(0, 7)].map((v) => v + 0)).toEqual([0, 0, ...gate.subarray(2, 7)]);
  });

  it('rises without a gap where the exponent is clamped', async () => {
    const gate = Float32Array.from({ length: 4096 }, (_, i) => -92 + i / 512);
    const x = Float32Array.of(...gate, ...gate.map(() => 1e6));
    expectGated('swiglu clamp', x, gate.length, await run(x, gate.length));
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const block = uniform(1, 65_521, -4, 4); // a prime length: no two rows are the same
    const x = new Float32Array(32_770 * 512).map((_, i) => block[i % block.length]!);
    const out = await run(x, 256);
    // A workgroup covers one row.
    for (const r of [0, 1, 32_767, 32_768, 32_769]) {
      expectGated('swiglu folded', x.slice(r * 512, (r + 1) * 512), 256, out.subarray(r * 256, (r + 1) * 256));
    }
    expect(out.some(Number.isNaN)).toBe(false);
  });

  it('refuses shapes that do not fit', () => {
    const graph = new Graph();
    const input = (...shape: (number | string)[]) => graph.input('x', 'f32', shape);
    expect(() => swiglu(graph, input(8))).toThrow('[swiglu] x has 1 axes (expected [R, G]): x f32[8]');
    expect(() => swiglu(graph, input('R', 'G'))).toThrow('[swiglu] G is G (expected a length that does not depend');
    expect(() => swiglu(graph, input('R', 12))).toThrow(
      expect.objectContaining({
        code: 'shape-mismatch',
        message: '[swiglu] rows of x are 12 (gate and up, read four elements at a time: expected a multiple of 8)',
      }),
    );
  });
});
