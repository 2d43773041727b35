import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOutFrames, visualCapacity, type FramePair, type PatchGrid } from '../../src/nn/visual-batch.ts';
import { seesAll, tileWords } from '../../src/ops/attention.ts';
import { Random } from '../fuzz/random.ts';

/** Small numbers with the proportions of the published model: patches of 4 pixels, 2 x 2 of them a token. */
const grid: PatchGrid = { patchSize: 4, mergeSize: 2, tableSide: 5 };

/** A frame pair of so many blocks, with bytes of its own. */
function pairOf(blockRows: number, blockColumns: number, frames: 1 | 2, seed = 1, by = grid): FramePair {
  const side = by.patchSize * by.mergeSize;
  const [height, width] = [blockRows * side, blockColumns * side];
  const random = new Random(seed);
  return { height, width, rgb: Uint8Array.from({ length: frames * height * width * 3 }, () => random.below(256)) };
}

const shape = fc.record({
  blockRows: fc.integer({ min: 1, max: 5 }),
  blockColumns: fc.integer({ min: 1, max: 5 }),
  frames: fc.constantFrom(1 as const, 2 as const),
});
const shapes = fc.array(shape, { maxLength: 5 });
const grids = fc.constantFrom(grid, { ...grid, mergeSize: 1 }, { ...grid, mergeSize: 3, tableSide: 4 });
const tileSizes = fc.constantFrom(1, 2, 7, 16, 64);

/** Patches in the order in which blocks are merged, as transformers' reshape and permute put it. */
function patchOrder(
  { height, width }: FramePair,
  { patchSize, mergeSize }: PatchGrid,
): [row: number, column: number][] {
  const order: [number, number][] = [];
  const [rows, columns] = [height / patchSize, width / patchSize];
  for (let blockRow = 0; blockRow < rows; blockRow += mergeSize)
    for (let blockColumn = 0; blockColumn < columns; blockColumn += mergeSize)
      for (let row = 0; row < mergeSize; row++)
        for (let column = 0; column < mergeSize; column++) order.push([blockRow + row, blockColumn + column]);
  return order;
}

/** Bytes of one patch in one frame, rows from the top. */
function patchBytes(frame: Uint8Array, width: number, row: number, column: number, side: number): number[] {
  const bytes: number[] = [];
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side * 3; x++) bytes.push(frame[(row * side + y) * width * 3 + column * side * 3 + x]!);
  return bytes;
}

const rowsOf = (values: ArrayLike<number>, width: number) =>
  Array.from({ length: values.length / width }, (_, i) =>
    Array.from({ length: width }, (_, j) => values[i * width + j]!),
  );

const makePairs = (list: readonly { blockRows: number; blockColumns: number; frames: 1 | 2 }[], by: PatchGrid) =>
  list.map(({ blockRows, blockColumns, frames }, i) => pairOf(blockRows, blockColumns, frames, i + 1, by));

describe('layOutFrames', () => {
  it('says where every patch lies: in blocks that are merged, with its position and its bytes in either frame', () => {
    fc.assert(
      fc.property(shapes, grids, (list, by) => {
        const pairs = makePairs(list, by);
        const { sizes, inputs } = layOutFrames(pairs, by, 16);
        const order = pairs.flatMap((pair) => patchOrder(pair, by).map((place) => ({ pair, place })));
        expect(sizes).toMatchObject({ P: order.length, M: order.length / by.mergeSize ** 2 });
        expect(rowsOf(inputs['positions']!, 2)).toEqual(order.map(({ place }) => place));
        const bytes = new Uint8Array(inputs['pixels']!.buffer);
        const patches = rowsOf(inputs['patches']!, 4);
        expect(patches.length).toBe(order.length);
        order.forEach(({ pair: { rgb, height, width }, place: [row, column] }, p) => {
          const [first, second, stride, unused] = patches[p]! as [number, number, number, number];
          expect(unused).toBe(0);
          const frameBytes = height * width * 3;
          const frames = [rgb.subarray(0, frameBytes), rgb.subarray(rgb.length - frameBytes)];
          [first, second].forEach((at, f) => {
            const seen: number[] = [];
            for (let y = 0; y < by.patchSize; y++)
              for (let x = 0; x < by.patchSize * 3; x++) seen.push(bytes[at + y * stride + x]!);
            expect(seen).toEqual(patchBytes(frames[f]!, width, row, column, by.patchSize));
          });
        });
      }),
      { numRuns: 60 },
    );
  });

  it('takes one frame for two: both offsets are the same', () => {
    const [one, two] = [1, 2].map((frames) => layOutFrames([pairOf(1, 1, frames as 1 | 2)], grid, 16));
    for (const [first, second] of rowsOf(one!.inputs['patches']!, 4)) expect(second).toBe(first);
    for (const [first, second] of rowsOf(two!.inputs['patches']!, 4)) expect(second! - first!).toBe(8 * 8 * 3);
    expect(one!.inputs['pixels']!.length).toBe((8 * 8 * 3) / 4);
    expect(two!.inputs['pixels']!.length).toBe((2 * 8 * 8 * 3) / 4);
  });

  it('gives a frame the same numbers alone and behind others, but for where its bytes and rows lie', () => {
    const [before, pair] = [pairOf(3, 1, 2, 1), pairOf(1, 3, 1, 2)];
    const [alone, behind] = [layOutFrames([pair], grid, 16), layOutFrames([before, pair], grid, 16)];
    const skipped = 3 * 1 * 4;
    for (const name of ['positions', 'tableRows', 'tableWeights'] as const) {
      const width = name === 'positions' ? 2 : 4;
      expect([...behind.inputs[name]!.subarray(skipped * width)]).toEqual([...alone.inputs[name]!]);
    }
    const shifted = rowsOf(alone.inputs['patches']!, 4).map(([a, b, stride]) => {
      return [a! + before.rgb.length, b! + before.rgb.length, stride, 0];
    });
    expect(rowsOf(behind.inputs['patches']!, 4).slice(skipped)).toEqual(shifted);
  });

  it('reads frames that are views into something longer', () => {
    const pair = pairOf(2, 1, 2, 5);
    const longer = new Uint8Array(pair.rgb.length + 7);
    longer.set(pair.rgb, 3);
    const view = { ...pair, rgb: longer.subarray(3, 3 + pair.rgb.length) };
    expect(layOutFrames([view], grid, 16)).toEqual(layOutFrames([pair], grid, 16));
  });

  it('lets each patch see its own frame, in tiles that are within it', () => {
    fc.assert(
      fc.property(shapes, tileSizes, (list, tileRows) => {
        const pairs = makePairs(list, grid);
        const { sizes, inputs } = layOutFrames(pairs, grid, tileRows);
        const tiles = rowsOf(inputs['tiles']!, tileWords);
        expect(tiles.length).toBe(sizes['N']);
        const expected: number[][] = [];
        let first = 0;
        for (const { height, width } of pairs) {
          const keys = (height / 4) * (width / 4);
          for (let i = 0; i < keys; i += tileRows)
            expected.push([first + i, Math.min(tileRows, keys - i), keys, seesAll, first, 0, first, 0]);
          first += keys;
        }
        expect(tiles).toEqual(expected);
      }),
    );
  });

  it('fits the capacity that a plan is made for, whatever the frames', () => {
    fc.assert(
      fc.property(shapes, tileSizes, grids, (list, tileRows, by) => {
        const { sizes } = layOutFrames(makePairs(list, by), by, tileRows);
        const capacity = visualCapacity(sizes['P']!, by, tileRows);
        expect(Object.keys(sizes).toSorted()).toEqual(Object.keys(capacity).toSorted());
        for (const [axis, size] of Object.entries(sizes)) expect(size, axis).toBeLessThanOrEqual(capacity[axis]!);
      }),
    );
  });

  it('of nothing is nothing', () => {
    expect(layOutFrames([], grid, 16).sizes).toEqual({ P: 0, M: 0, N: 0, B: 0 });
  });
});

/** Rows and weights of one patch. */
const tapsOf = ({ inputs }: ReturnType<typeof layOutFrames>, patch: number) => ({
  rows: [...inputs['tableRows']!.subarray(4 * patch, 4 * patch + 4)],
  weights: [...inputs['tableWeights']!.subarray(4 * patch, 4 * patch + 4)],
});

describe('the position table', () => {
  it('is read at the places that lie evenly spread between its corners', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 48 }), ({ blockRows, blockColumns }, tableSide) => {
        const by = { ...grid, tableSide };
        const pair = pairOf(blockRows, blockColumns, 1);
        const batch = layOutFrames([pair], by, 16);
        const [rows, columns] = [pair.height / 4, pair.width / 4];
        patchOrder(pair, by).forEach(([row, column], p) => {
          const { rows: taps, weights } = tapsOf(batch, p);
          // A table that holds its own coordinates gives them back where it is read.
          let [y, x, sum] = [0, 0, 0];
          taps.forEach((tap, i) => {
            expect(tap).toBeLessThan(tableSide ** 2);
            y += Math.floor(tap / tableSide) * weights[i]!;
            x += (tap % tableSide) * weights[i]!;
            sum += weights[i]!;
          });
          const [wantedY, wantedX] = [
            (row * (tableSide - 1)) / Math.max(rows - 1, 1),
            (column * (tableSide - 1)) / Math.max(columns - 1, 1),
          ];
          expect(Math.abs(y - wantedY)).toBeLessThan(tableSide * 2 ** -21);
          expect(Math.abs(x - wantedX)).toBeLessThan(tableSide * 2 ** -21);
          expect(Math.abs(sum - 1)).toBeLessThan(2 ** -22);
          expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('is read as it is where there is a row and a column for each patch', () => {
    const by = { patchSize: 4, mergeSize: 2, tableSide: 4 };
    const batch = layOutFrames([pairOf(2, 2, 1)], by, 16);
    patchOrder(pairOf(2, 2, 1), by).forEach(([row, column], p) => {
      const { rows, weights } = tapsOf(batch, p);
      expect(rows[0]).toBe(row * 4 + column);
      expect(weights).toEqual([1, 0, 0, 0]);
      // What weighs nothing lies within the table, too.
      for (const tap of rows) expect(tap).toBeLessThan(16);
    });
  });

  it('ends on its own ends: the last patch is the last place', () => {
    const batch = layOutFrames([pairOf(3, 2, 1)], grid, 16);
    const last = tapsOf(batch, 6 * 4 - 1);
    expect(last).toEqual({ rows: [24, 24, 24, 24], weights: [1, 0, 0, 0] });
  });

  it('is read at its first place by an axis of one patch', () => {
    const by = { patchSize: 4, mergeSize: 1, tableSide: 5 };
    const batch = layOutFrames([pairOf(1, 3, 1, 1, by)], by, 16);
    expect([0, 1, 2].map((p) => tapsOf(batch, p))).toEqual([
      { rows: [0, 1, 5, 6], weights: [1, 0, 0, 0] },
      { rows: [2, 3, 7, 8], weights: [1, 0, 0, 0] },
      { rows: [4, 4, 9, 9], weights: [1, 0, 0, 0] },
    ]);
    const single = layOutFrames([pairOf(1, 1, 1, 1, by)], { ...by, tableSide: 1 }, 16);
    expect(tapsOf(single, 0)).toEqual({ rows: [0, 0, 0, 0], weights: [1, 0, 0, 0] });
  });

  it.each([
    ['between far places', 3, 1, 9, Math.fround(Math.fround(47 / 5) - 9)],
    // A fraction below a half has a bit that one less of it has not: the reference loses it.
    ['between near places', 49, 1, 0, Math.fround(47 / 97)],
  ])('weighs in f32, as the reference: %s', (_, blockRows, row, index, fraction) => {
    const by = { ...grid, tableSide: 48 };
    const pair = pairOf(blockRows, 1, 1);
    const batch = layOutFrames([pair], by, 16);
    const p = patchOrder(pair, by).findIndex(([y, x]) => y === row && x === 0);
    const near = Math.fround(1 - fraction);
    expect(tapsOf(batch, p)).toEqual({
      rows: [index * 48, index * 48 + 1, (index + 1) * 48, (index + 1) * 48 + 1],
      weights: [near, 0, Math.fround(1 - near), 0],
    });
  });
});
