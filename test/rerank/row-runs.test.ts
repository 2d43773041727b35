import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eachRow, RowRuns, type RowRun } from '../../src/rerank/row-runs.ts';

function rowsOf(runs: readonly RowRun[]): number[] {
  const rows: number[] = [];
  eachRow(runs, (row, i) => {
    expect(i).toBe(rows.length);
    rows.push(row);
  });
  return rows;
}

describe('RowRuns', () => {
  it('takes the lowest rows that are free, as one run where they lie together', () => {
    const space = new RowRuns(10);
    expect(space.take(4)).toEqual([{ first: 0, rows: 4 }]);
    const middle = space.take(3)!;
    expect(middle).toEqual([{ first: 4, rows: 3 }]);
    expect(space.take(1)).toEqual([{ first: 7, rows: 1 }]);
    space.give(middle);
    expect(space.take(4)).toEqual([
      { first: 4, rows: 3 },
      { first: 8, rows: 1 },
    ]);
    expect(space.free).toBe(1);
  });

  it('takes nothing when there are too few, and leaves the others', () => {
    const space = new RowRuns(3);
    expect(space.take(4)).toBeUndefined();
    expect(space.free).toBe(3);
    expect(space.take(3)).toEqual([{ first: 0, rows: 3 }]);
    expect(space.take(1)).toBeUndefined();
    expect(space.take(0)).toEqual([]);
    expect(new RowRuns(0).take(1)).toBeUndefined();
  });

  it('joins what comes back, from either side', () => {
    const space = new RowRuns(6);
    const [a, b, c] = [space.take(2)!, space.take(2)!, space.take(2)!];
    for (const runs of [b, a, c]) space.give(runs);
    expect(space.take(6)).toEqual([{ first: 0, rows: 6 }]);
  });

  it('holds as many numbers as there are', () => {
    const space = new RowRuns(2 ** 31 - 1);
    space.take(2 ** 31 - 3);
    expect(space.take(2)).toEqual([{ first: 2 ** 31 - 3, rows: 2 }]);
    expect(space.free).toBe(0);
  });

  it('is a set of rows: what is taken is free and belongs to one taker, the lowest rows first', () => {
    const step = fc.oneof(
      fc.record({ take: fc.nat(12) }),
      fc.record({ give: fc.nat() }), // which of those that were taken
    );
    fc.assert(
      fc.property(fc.nat(40), fc.array(step, { maxLength: 60 }), (rows, steps) => {
        const space = new RowRuns(rows);
        const free = new Set(Array.from({ length: rows }, (_, row) => row));
        const taken: (readonly RowRun[])[] = [];
        for (const one of steps) {
          if ('take' in one) {
            const lowest = [...free].toSorted((a, b) => a - b).slice(0, one.take);
            const runs = space.take(one.take);
            if (one.take > free.size) {
              expect(runs).toBeUndefined();
              continue;
            }
            expect(rowsOf(runs!)).toEqual(lowest);
            for (const { rows: count } of runs!) expect(count).toBeGreaterThan(0);
            for (const row of lowest) free.delete(row);
            taken.push(runs!);
          } else if (taken.length > 0) {
            const [runs] = taken.splice(one.give % taken.length, 1);
            space.give(runs!);
            for (const row of rowsOf(runs!)) free.add(row);
          }
          expect(space.free).toBe(free.size);
        }
      }),
    );
  });
});
