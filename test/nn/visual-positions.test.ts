import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { visualPositions } from '../../src/nn/visual-positions.ts';

interface Piece {
  readonly text: number;
  readonly rows: number;
  readonly columns: number;
}

/** The rule as transformers writes it: each piece begins one behind the largest number so far. */
function reference(pieces: readonly Piece[], tail: number): number[][] {
  const positions: number[][] = [];
  const next = () => Math.max(-1, ...positions.flat()) + 1;
  const say = (count: number) => {
    const first = next();
    for (let i = 0; i < count; i++) positions.push([first + i, first + i, first + i]);
  };
  for (const { text, rows, columns } of pieces) {
    say(text);
    const first = next();
    for (let i = 0; i < rows * columns; i++)
      positions.push([first, first + Math.floor(i / columns), first + (i % columns)]);
  }
  say(tail);
  return positions;
}

function runsOf(pieces: readonly Piece[]) {
  let at = 0;
  return pieces.map(({ text, rows, columns }) => {
    const run = { at: at + text, rows, columns };
    at += text + rows * columns;
    return run;
  });
}

const lengthOf = (pieces: readonly Piece[], tail: number) =>
  pieces.reduce((sum, { text, rows, columns }) => sum + text + rows * columns, tail);
const byToken = (positions: Uint32Array) =>
  Array.from({ length: positions.length / 3 }, (_, t) => [...positions.subarray(3 * t, 3 * t + 3)]);

describe('visualPositions', () => {
  it('counts texts on all three axes alike', () => {
    expect([...visualPositions(4, [])]).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    expect(visualPositions(0, [])).toEqual(new Uint32Array(0));
  });

  it('counts rows and columns of a picture from where it begins, and goes on behind its longer side', () => {
    expect(byToken(visualPositions(10, [{ at: 2, rows: 2, columns: 3 }]))).toEqual([
      [0, 0, 0],
      [1, 1, 1],
      [2, 2, 2],
      [2, 2, 3],
      [2, 2, 4],
      [2, 3, 2],
      [2, 3, 3],
      [2, 3, 4],
      [5, 5, 5],
      [6, 6, 6],
    ]);
    const tall = byToken(visualPositions(5, [{ at: 0, rows: 4, columns: 1 }]));
    expect(tall.slice(3)).toEqual([
      [0, 3, 0],
      [4, 4, 4],
    ]);
  });

  it('lets pictures that touch follow each other', () => {
    const runs = [
      { at: 0, rows: 1, columns: 2 },
      { at: 2, rows: 2, columns: 1 },
    ];
    expect(byToken(visualPositions(4, runs))).toEqual([
      [0, 0, 0],
      [0, 0, 1],
      [2, 2, 2],
      [2, 3, 2],
    ]);
  });

  it('is the rule of transformers for any order of texts and pictures', () => {
    const piece = fc.record({
      text: fc.nat(5),
      rows: fc.integer({ min: 1, max: 5 }),
      columns: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), fc.nat(6), (pieces, tail) => {
        const positions = visualPositions(lengthOf(pieces, tail), runsOf(pieces));
        expect(byToken(positions)).toEqual(reference(pieces, tail));
      }),
    );
  });

  it('never counts beyond the tokens, so that a table for the longest prompt is long enough', () => {
    const piece = fc.record({
      text: fc.nat(3),
      rows: fc.integer({ min: 1, max: 30 }),
      columns: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), fc.nat(3), (pieces, tail) => {
        const length = lengthOf(pieces, tail);
        const positions = visualPositions(length, runsOf(pieces));
        expect(Math.max(-1, ...positions)).toBeLessThan(length);
      }),
    );
  });
});
