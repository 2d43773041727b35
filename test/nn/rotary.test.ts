import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { frameRotaryTable, rotaryTable } from '../../src/nn/rotary.ts';
import { rope, type RotaryAxes } from '../../src/ops/rope.ts';
import { runOp } from '../support/op-harness.ts';

/** Cosines and sines of rows of positions, and what they were computed for. */
interface Angles<Position> {
  readonly theta: number;
  readonly headSize: number;
  readonly positions: readonly Position[];
  readonly cos: readonly number[][];
  readonly sin: readonly number[][];
}

/** What transformers computes: for one position a token (at the top), for three, and for two in heads of two sizes. */
const fixture = JSON.parse(
  readFileSync(new URL('../ops/fixtures/rope.json', import.meta.url), 'utf8'),
) as Angles<number> & {
  readonly inverseFrequencies: readonly number[];
  readonly interleaved: Angles<number[]> & { readonly sections: [number, number, number] };
  readonly rowColumn: readonly Angles<number[]>[];
};

/**
 * Frequencies whose cosines or sines are off by more than one rounding. PyTorch's vector code rounds a few powers the other way,
 * its scalar code none: angles then differ by a unit of their last place, cosines and sines by as much.
 * @param rows cosines before sines, a row for each of the fixture's
 */
function expectAngles(
  { theta, headSize, positions, cos, sin }: Angles<number | number[]>,
  rows: readonly Float32Array[],
) {
  const different = new Set<number>();
  expect(rows.length).toBe(positions.length);
  rows.forEach((row, r) => {
    const largest = Math.max(...[positions[r]!].flat());
    [...cos[r]!, ...sin[r]!].forEach((value, at) => {
      const error = Math.abs(row[at]! - Math.fround(value));
      if (error <= 2 ** -24) return;
      const i = at % (headSize / 2);
      different.add(i);
      expect(error).toBeLessThanOrEqual(2 ** -24 + 2 ** -23 * largest * theta ** ((-2 * i) / headSize));
    });
  });
  return expect([...different]);
}

/** The kernel's cosines and sines: what it makes of heads of ones before zeros. */
async function turn(table: Float32Array, size: number, positions: readonly number[][], axes: RotaryAxes) {
  const heads = Float32Array.from({ length: positions.length * size }, (_, i) => (i % size < size / 2 ? 1 : 0));
  const out = await runOp((op) => {
    op.sizes = { T: positions.length };
    const x = op.input('x', 'f32', ['T', size], heads);
    const at = op.input('positions', 'u32', ['T', positions[0]!.length], Uint32Array.from(positions.flat()));
    const angles = op.weight('table', 'f32', [table.length / size, size], table);
    return rope(op.graph, x, at, angles, { kind: 'none' }, 1, 1, axes);
  });
  return positions.map((_, t) => out.subarray(t * size, (t + 1) * size));
}

describe('the table of one position', () => {
  const { headSize, theta, positions } = fixture;
  const table = rotaryTable(8192, headSize, theta);

  it('holds the cosines and sines of transformers', () => {
    const rows = positions.map((p) => table.subarray(p * headSize, (p + 1) * headSize));
    expectAngles(fixture, rows).toEqual([37]);
  });

  it('starts with ones and zeros', () => {
    const ones = Array.from({ length: headSize }, (_, i) => (i < headSize / 2 ? 1 : 0));
    expect([...table.subarray(0, headSize)]).toEqual(ones);
  });
});

describe('several positions of a token', () => {
  it('turn as in the text side of Qwen3-VL', async () => {
    const { interleaved } = fixture;
    const { headSize, theta, sections, positions } = interleaved;
    const table = rotaryTable(8192, headSize, theta);
    const rows = await turn(table, headSize, positions, { kind: 'interleaved', sections });
    expectAngles(interleaved, rows).toEqual([19]);
  });

  it.each(fixture.rowColumn)('turn as in its vision tower, heads of $headSize', async (one) => {
    const { headSize, theta, positions } = one;
    const rows = await turn(frameRotaryTable(256, headSize, theta), headSize, positions, { kind: 'row-column' });
    expectAngles(one, rows).toEqual([]);
  });
});

it('a row of the table of two positions holds each frequency twice', () => {
  const table = frameRotaryTable(3, 8, 100);
  const row = [1, 0.1].map((frequency) => Math.fround(2 * Math.fround(frequency)));
  const [cos, sin] = [row.map(Math.cos).map(Math.fround), row.map(Math.sin).map(Math.fround)];
  expect([...table.subarray(16)]).toEqual([...cos, ...cos, ...sin, ...sin]);
});
