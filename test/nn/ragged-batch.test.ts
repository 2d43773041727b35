import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import {
  declareSharedInputs,
  groupByPrefix,
  layOutBatch,
  layOutSharedBatch,
  raggedCapacity,
  type HostBatch,
  type PrefixGroup,
} from '../../src/nn/ragged-batch.ts';
import { seesAll, tileWords } from '../../src/ops/attention.ts';

const int = (...ids: number[]) => Int32Array.from(ids);
const idsOf = (min: number, max: number) =>
  fc.array(fc.nat(3), { minLength: min, maxLength: max }).map((ids) => Int32Array.from(ids));
const groups = fc.array(
  fc.record({ prefix: idsOf(0, 40), own: fc.array(idsOf(1, 40), { minLength: 1, maxLength: 4 }) }),
  { maxLength: 5 },
);
const tileSizes = fc.constantFrom(1, 2, 7, 16, 64);

/** Sequences that share beginnings: each repeats some of the one before it, and goes on alone. */
const sequences = fc.array(fc.tuple(fc.nat(30), idsOf(1, 20)), { maxLength: 12 }).map((steps) => {
  let before = int();
  return steps.map(([shared, rest]) => (before = Int32Array.from([...before.subarray(0, shared), ...rest])));
});

interface Tile {
  readonly first: number;
  readonly rows: number;
  /** Rows of keyValue that the tile's first and its last row see, by position. */
  readonly seen: [first: number[], last: number[]];
}

/** Tiles as the kernels read them. */
function tilesOf({ inputs }: HostBatch, name: 'tiles' | 'scoredTiles'): Tile[] {
  const words = inputs[name]!;
  return Array.from({ length: words.length / tileWords }, (_, n) => {
    const tile = [...words.subarray(n * tileWords, (n + 1) * tileWords)];
    const [first, rows, keys, horizon, prefixRow, prefix, ownRow, unused] = tile;
    expect(unused).toBe(0);
    const rowsOf = (end: number) =>
      Array.from({ length: Math.min(keys!, end) }, (_, j) => (j < prefix! ? prefixRow! + j : ownRow! + j - prefix!));
    return { first: first!, rows: rows!, seen: [rowsOf(horizon! + 1), rowsOf(horizon! + rows!)] };
  });
}

const total = (arrays: readonly Int32Array[]) => arrays.reduce((sum, { length }) => sum + length, 0);
const range = (first: number, length: number) => Array.from({ length }, (_, i) => first + i);

/** Every row asks in exactly one tile, and the batch fits the capacity that a plan would be made for. */
function expectCovered(batch: HostBatch, tileRows: number): void {
  const { sizes } = batch;
  const tiles = tilesOf(batch, 'tiles');
  expect(tiles.flatMap(({ first, rows }) => range(first, rows))).toEqual(range(0, sizes['T']!));
  for (const { rows } of tiles) {
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThanOrEqual(tileRows);
  }
  expect(tiles.length).toBe(sizes['N']);
  expect(tiles.length).toBeLessThanOrEqual(raggedCapacity(sizes['T']!, sizes['S']!, tileRows)['N']!);
}

describe('layOutBatch', () => {
  it('lays sequences one behind the other, each seeing all of itself', () => {
    const property = fc.property(fc.array(idsOf(1, 70), { maxLength: 6 }), tileSizes, (list, tileRows) => {
      const batch = layOutBatch(list, 2, (length) => length >> 1, tileRows);
      const { ids, positions, scored } = batch.inputs;
      expect(batch.sizes).toMatchObject({ T: total(list), S: list.length });
      expect([...ids!]).toEqual(list.flatMap((one) => [...one]));
      expect([...positions!]).toEqual(list.flatMap((one) => range(2, one.length)));
      expectCovered(batch, tileRows);
      const starts = list.map((_, s) => total(list.slice(0, s)));
      expect([...scored!]).toEqual(list.map((one, s) => starts[s]! + (one.length >> 1)));
      for (const { first, seen } of tilesOf(batch, 'tiles')) {
        const s = starts.findLastIndex((start) => start <= first);
        const all = range(starts[s]!, list[s]!.length);
        expect(seen).toEqual([all, all]);
      }
      const ofScored = list.map((one, s) => range(starts[s]!, one.length));
      expect(tilesOf(batch, 'scoredTiles')).toEqual(
        ofScored.map((all, s) => ({ first: s, rows: 1, seen: [all, all] })),
      );
    });
    fc.assert(property);
  });

  it('writes tiles as the kernels read them', () => {
    expect(layOutBatch([int(0, 9, 1, 7, 1, 1, 2)], 2, () => 0, 2, 1).inputs['positions']).toEqual(
      Uint32Array.of(2, 3, 1, 4, 1, 1, 5),
    );
    const { sizes, inputs } = layOutBatch([int(5, 6, 7), int(8)], 2, () => 0, 2);
    expect(sizes).toEqual({ T: 4, S: 2, N: 3 });
    expect([...inputs['tiles']!]).toEqual(
      [
        [0, 2, 3, seesAll, 0, 0, 0, 0],
        [2, 1, 3, seesAll, 0, 0, 0, 0],
        [3, 1, 1, seesAll, 3, 0, 3, 0],
      ].flat(),
    );
  });
});

describe('layOutSharedBatch', () => {
  it('lays a prefix once, and every token sees its own sequence up to itself', () => {
    const property = fc.property(groups, tileSizes, (list, tileRows) => {
      const batch = layOutSharedBatch(list, 3, tileRows);
      const { ids, positions, scored, scoredPositions } = batch.inputs;
      const whole = list.flatMap(({ prefix, own }) => own.map((rest) => [...prefix, ...rest]));
      expect(batch.sizes).toMatchObject({
        T: tokens(list),
        S: whole.length,
      });
      expectCovered(batch, tileRows);
      // A pair's last token sees its sequence, at the positions that it has.
      const pairs = tilesOf(batch, 'scoredTiles');
      expect(pairs.map(({ first, rows }) => [first, rows])).toEqual(whole.map((_, s) => [s, 1]));
      whole.forEach((sequence, s) => {
        const rows = pairs[s]!.seen[0];
        expect(rows.map((row) => ids![row])).toEqual(sequence);
        expect(rows.map((row) => positions![row])).toEqual(range(3, sequence.length));
        expect(scored![s]).toBe(rows.at(-1));
        expect(scoredPositions![s]).toBe(3 + sequence.length - 1);
      });
      // Own tokens belong to one pair and no other.
      const owned = list.flatMap(({ prefix, own }) => own.map(() => prefix.length));
      const rows = pairs.flatMap(({ seen }, s) => seen[0].slice(owned[s]));
      expect(new Set(rows).size).toBe(rows.length);
      // Every row of every tile sees what a pair's sequence begins with, and ends with itself.
      for (const { first, rows, seen } of tilesOf(batch, 'tiles')) {
        expect(seen[0].at(-1)).toBe(first);
        expect(seen[1].at(-1)).toBe(first + rows - 1);
        const owner = pairs.find((pair) => pair.seen[0].includes(first))!.seen[0];
        expect(owner.slice(0, seen[1].length)).toEqual(seen[1]);
      }
    });
    fc.assert(property);
  });

  it('writes tiles as the kernels read them', () => {
    const batch = layOutSharedBatch([{ prefix: int(1, 2, 3), own: [int(4), int(5, 6)] }], 0, 2);
    expect(batch.sizes).toEqual({ T: 6, S: 2, N: 4 });
    expect([...batch.inputs['tiles']!]).toEqual(
      [
        [0, 2, 2, 0, 0, 0, 0, 0],
        [2, 1, 3, 2, 0, 0, 0, 0],
        [3, 1, 4, 3, 0, 3, 3, 0],
        [4, 2, 5, 3, 0, 3, 4, 0],
      ].flat(),
    );
    expect([...batch.inputs['scoredTiles']!]).toEqual(
      [
        [0, 1, 4, 3, 0, 3, 3, 0],
        [1, 1, 5, 4, 0, 3, 4, 0],
      ].flat(),
    );
    expect([...batch.inputs['positions']!]).toEqual([0, 1, 2, 3, 3, 4]);
  });

  it('lays positions of several numbers as the tokens that they belong to', () => {
    const property = fc.property(groups, fc.constantFrom(1, 2, 3), tileSizes, (list, width, tileRows) => {
      const whole = list.flatMap(({ prefix, own }) => own.map((rest) => prefix.length + rest.length));
      // A prefix has the same positions in all that begin with it; what is a sequence's own has its own.
      const places = list.flatMap((group, g) =>
        group.own.map(
          (_, i) => (at: number) => (at < group.prefix.length ? 1000 * g : 100_000 * (g + 1) + 1000 * i) + at,
        ),
      );
      const given = whole.map((length, s) =>
        Uint32Array.from({ length: length * width }, (_, n) => 10 * places[s]!(Math.floor(n / width)) + (n % width)),
      );
      const batch = layOutSharedBatch(list, 0, tileRows, given);
      const plain = layOutSharedBatch(list, 0, tileRows);
      const { positions, scoredPositions, ...others } = batch.inputs;
      const { positions: _, scoredPositions: __, ...plainOthers } = plain.inputs;
      expect([batch.sizes, others]).toEqual([plain.sizes, plainOthers]);
      expect(positions!.length).toBe(width * batch.sizes['T']!);
      expect(scoredPositions!.length).toBe(whole.length === 0 ? 0 : width * whole.length);
      const of = (words: ArrayLike<number>, row: number) => range(row * width, width).map((n) => words[n]!);
      tilesOf(batch, 'scoredTiles').forEach(({ seen }, s) => {
        const rows = seen[0];
        expect(rows.flatMap((row) => of(positions!, row))).toEqual([...given[s]!]);
        expect(of(scoredPositions!, s)).toEqual(of(given[s]!, whole[s]! - 1));
      });
    });
    fc.assert(property);
  });

  it('takes a sequence’s own positions where nothing is shared', () => {
    const list = [
      { prefix: int(), own: [int(1, 2)] },
      { prefix: int(), own: [int(3)] },
    ];
    const given = [Uint32Array.of(4, 5, 6, 7), Uint32Array.of(8, 9)];
    const { inputs } = layOutSharedBatch(list, 0, 16, given);
    expect([...inputs['positions']!]).toEqual([4, 5, 6, 7, 8, 9]);
    expect([...inputs['scoredPositions']!]).toEqual([6, 7, 8, 9]);
  });

  it('refuses a sequence without tokens of its own', () => {
    const list = [{ prefix: int(1), own: [int(2), int()] }];
    expect(() => layOutSharedBatch(list, 0, 16)).toThrow(
      '[batch] sequence 1 has no tokens behind its prefix (expected one or more)',
    );
  });
});

describe('declareSharedInputs', () => {
  it.each([
    [1, ['T'], ['S']],
    [3, ['T', 3], ['S', 3]],
  ])('positions of %i numbers', (numbers, ofTokens, ofScored) => {
    const { positions, scoredPositions } = declareSharedInputs(new Graph(), numbers);
    expect([positions.shape, scoredPositions.shape]).toEqual([ofTokens, ofScored]);
  });
});

/** Tokens of all groups, a prefix counted once. */
const tokens = (list: readonly PrefixGroup[]) =>
  list.reduce((sum, { prefix, own }) => sum + prefix.length + total(own), 0);

describe('groupByPrefix', () => {
  it('keeps every sequence, in order, with its last token its own', () => {
    const property = fc.property(sequences, (list) => {
      const grouped = groupByPrefix(list);
      const again = grouped.flatMap(({ prefix, own }) => own.map((rest) => [...prefix, ...rest]));
      expect(again).toEqual(list.map((ids) => [...ids]));
      expect(grouped.flatMap(({ own }) => own).every(({ length }) => length > 0)).toBe(true);
    });
    fc.assert(property);
  });

  it('finds the fewest tokens of all groupings, which is never more than without groups', () => {
    /** Tokens of the best grouping, by trying them all. */
    const fewest = (list: readonly Int32Array[]): number =>
      Math.min(
        ...list.map((_, i) => {
          const [head, rest] = [list.slice(0, i + 1), list.slice(i + 1)];
          const most = Math.min(...head.map(({ length }) => length - 1));
          const common = head[0]!.findIndex((id, at) => at >= most || head.some((ids) => ids[at] !== id));
          return total(head) - i * common + (rest.length === 0 ? 0 : fewest(rest));
        }),
      );
    const property = fc.property(sequences, (list) => {
      const short = list.slice(0, 8);
      const found = tokens(groupByPrefix(short));
      expect(found).toBe(short.length === 0 ? 0 : fewest(short));
      expect(found).toBeLessThanOrEqual(total(short));
    });
    fc.assert(property);
  });

  it('computes the prompt that 100 documents of a query share once', () => {
    const documents = Array.from({ length: 100 }, (_, d) =>
      Int32Array.from([...range(1000, 300), 2000 + d, ...range(0, 199)]),
    );
    const grouped = groupByPrefix(documents);
    expect(grouped.map(({ prefix, own }) => [prefix.length, own.length])).toEqual([[300, 100]]);
    expect(layOutSharedBatch(grouped, 0, 16).sizes['T']).toBe(300 + 100 * 200);
  });

  it('does not let one query’s documents join another’s for the instruction that all prompts share', () => {
    const prompt = (query: number, document: number) =>
      Int32Array.from([...range(100, 60), ...Array<number>(40).fill(query), document, ...range(0, 50)]);
    const list = [prompt(1, 9), ...range(10, 30).map((d) => prompt(2, d)), ...range(50, 20).map((d) => prompt(3, d))];
    const shapes = groupByPrefix(list).map(({ prefix, own }) => [prefix.length, own.length]);
    expect(shapes).toEqual([
      [0, 1],
      [100, 30],
      [100, 20],
    ]);
  });

  it('leaves every pair a token, also of equal sequences, and takes none', () => {
    const grouped = groupByPrefix([int(1, 2, 3), int(1, 2, 3), int(1, 2)]);
    expect(grouped.map(({ prefix, own }) => [prefix.length, own.map(({ length }) => length)])).toEqual([
      [1, [2, 2, 1]],
    ]);
    expect(groupByPrefix([])).toEqual([]);
    expect(groupByPrefix([int(7)])).toEqual([{ prefix: int(), own: [int(7)] }]);
  });

  it('takes milliseconds for as many pairs as a batch holds', () => {
    const list = Array.from({ length: 1024 }, (_, d) => Int32Array.from([...range(0, 300), d, 1]));
    const start = performance.now();
    expect(tokens(groupByPrefix(list))).toBe(300 + 2 * 1024);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
