import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupByPrefix } from '../../src/nn/ragged-batch.ts';
import { sharedTokens, TokenMeter } from '../../src/nn/token-meter.ts';

const range = (first: number, length: number) => Array.from({ length }, (_, i) => first + i);
const total = (list: readonly Int32Array[]) => list.reduce((sum, { length }) => sum + length, 0);

/** Tokens that go through the layers. */
const grouped = (list: readonly Int32Array[]) =>
  groupByPrefix(list).reduce((sum, { prefix, own }) => sum + prefix.length + total(own), 0);

/** What the meter says before and after each sequence. */
function measure(list: readonly Int32Array[], shares: boolean) {
  const meter = new TokenMeter(shares);
  const foretold: number[] = [];
  const counted = list.map((ids) => {
    foretold.push(meter.with(ids));
    meter.add(ids);
    return meter.tokens;
  });
  return { foretold, counted };
}

const ids = fc.array(fc.nat(2), { minLength: 1, maxLength: 12 });
/** Sequences that begin as any of the ones before them, for any length, and go on alone. */
const sequences = fc.array(fc.tuple(fc.nat(), fc.nat(16), ids), { maxLength: 14 }).map((steps) => {
  const list: Int32Array[] = [];
  for (const [from, shared, rest] of steps) {
    const before = list[from % Math.max(1, list.length)] ?? new Int32Array(0);
    list.push(Int32Array.from([...before.subarray(0, shared), ...rest]));
  }
  return list;
});

describe('a meter that shares', () => {
  it('never counts less than the grouping comes to, whatever joins, and tells beforehand what it will count', () => {
    const property = fc.property(sequences, (list) => {
      const { foretold, counted } = measure(list, true);
      expect(foretold).toEqual(counted);
      counted.forEach((tokens, s) => {
        const batch = list.slice(0, s + 1);
        expect(tokens).toBeGreaterThanOrEqual(grouped(batch));
        expect(tokens).toBeLessThanOrEqual(total(batch));
        // A batch never shrinks, or its budget could be met by adding to it.
        expect(tokens).toBeGreaterThan(counted[s - 1] ?? 0);
      });
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('asking changes nothing', () => {
    const meter = new TokenMeter(true);
    meter.add(Int32Array.of(1, 2, 3));
    expect([meter.with(Int32Array.of(1, 2, 4)), meter.with(Int32Array.of(9, 9)), meter.tokens]).toEqual([4, 5, 3]);
  });

  it('counts the prompt of one query’s documents once, as the grouping does', () => {
    const documents = fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 20 });
    // Documents are told apart by their first token, so that the prompt is all that they share.
    const property = fc.property(documents, fc.integer({ min: 12, max: 40 }), (texts, prompt) => {
      const list = texts.map((text, d) => Int32Array.from([...range(100, prompt), 1000 + d, ...text]));
      const { counted } = measure(list, true);
      expect(counted.at(-1)).toBe(grouped(list));
      expect(counted.at(-1)).toBe(prompt + total(list) - list.length * prompt);
    });
    fc.assert(property);
  });

  it('keeps apart the queries of a batch', () => {
    const prompt = (query: number, document: number) =>
      Int32Array.from([...range(0, 6), ...Array<number>(20).fill(query), document]);
    const list = [...range(0, 5).map((d) => prompt(50, d)), ...range(0, 5).map((d) => prompt(60, d))];
    expect(measure(list, true).counted.at(-1)).toBe(26 + 5 + 26 + 5);
    expect(grouped(list)).toBe(26 + 5 + 26 + 5);
  });
});

it('without sharing it is the plain sum', () => {
  const property = fc.property(sequences, (list) => {
    const { foretold, counted } = measure(list, false);
    expect(counted).toEqual(list.map((_, s) => total(list.slice(0, s + 1))));
    expect(foretold).toEqual(counted);
  });
  fc.assert(property);
  expect(new TokenMeter(false).tokens).toBe(0);
});

describe('sharedTokens', () => {
  it.each<[number[], number[], number]>([
    [[1, 2, 3], [1, 2, 4], 2],
    [[1, 2, 3], [1, 2, 3], 2],
    [[1, 2], [1, 2, 3], 1],
    [[1], [1], 0],
    [[1, 2], [2, 2], 0],
  ])('%j and %j: %d, short of either’s last', (a, b, shared) => {
    expect(sharedTokens(Int32Array.from(a), Int32Array.from(b))).toBe(shared);
    expect(sharedTokens(Int32Array.from(b), Int32Array.from(a))).toBe(shared);
  });
});
