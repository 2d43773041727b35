import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostArray, Plan, RowCopy } from '../../src/graph/plan.ts';
import type { VisionRecording } from '../../src/models/model.ts';
import type { Sizes, Tensor } from '../../src/tensor/tensor.ts';
import { eachRow } from '../../src/rerank/row-runs.ts';
import type { Sequence, VisualUnit } from '../../src/rerank/visual-pairs.ts';
import { placeVisuals, VisualStore } from '../../src/rerank/visual-store.ts';
import { fakeVision, mediaOf } from '../support/fake-vision.ts';

/** A unit that says in its pixels which one it is. */
function unit(shade: number, columns = 1): VisualUnit {
  const { rgb, height, width, hash } = mediaOf(shade, { columns });
  return { key: `${hash}/0`, rgb, height, width, patches: 4 * columns, tokens: columns };
}

const tensorOf = (name: string) => ({ name }) as Tensor;

/** A store of so many rows over plans that only remember: what the tower says of a picture's token is `shade.token`. */
function setUp(rows: number, patches = 1000) {
  const stores = ['merged', 'deepstack'].map((name) => ({ rows: tensorOf(`${name} rows`), store: tensorOf(name) }));
  const contents = new Map(stores.map(({ store }) => [store.name, Array<string>(rows).fill('')]));
  /** Shades of each run of the tower. */
  const runs: number[][] = [];
  let failing: Error | undefined;
  const tower: Pick<Plan, 'deliver'> = {
    deliver(sizes: Sizes, inputs: Readonly<Record<string, HostArray>>, copies: readonly RowCopy[]) {
      if (failing) throw failing;
      expect(sizes['P']).toBeLessThanOrEqual(patches);
      const bytes = new Uint8Array(inputs['pixels']!.buffer);
      const shades = Array.from({ length: sizes['M']! }, (_, m) => bytes[inputs['patches']![16 * m]!]!);
      const names = shades.map((shade, m) => `${shade}.${m - shades.indexOf(shade)}`);
      runs.push([...new Set(shades)]);
      for (const { output, first, rows: count, target, at } of copies) {
        const { store } = stores.find((one) => one.rows === output)!;
        expect(target.label).toBe(store.name);
        const content = contents.get(store.name)!;
        for (let i = 0; i < count; i++) {
          expect(at + i).toBeLessThan(rows);
          content[at + i] = names[first + i]!;
        }
      }
    },
  };
  const main: Pick<Plan, 'bufferOf'> = { bufferOf: ({ name }) => ({ label: name }) as GPUBuffer };
  const recording = { features: stores } as unknown as VisionRecording;
  const plans = { tower: tower as Plan, main: main as Plan };
  const store = new VisualStore({ vision: fakeVision, recording, ...plans, tileRows: 16, rows, patches });
  return {
    store,
    runs,
    contents,
    fail: (reason: Error | undefined) => (failing = reason),
    /** Places units, and checks that every store holds all of them where it says. */
    place(...units: VisualUnit[]): void {
      const places = store.place(units);
      for (const { key, rgb, tokens } of units) {
        for (const content of contents.values()) {
          const found: string[] = [];
          eachRow(places.get(key)!, (row) => found.push(content[row]!));
          expect(found).toEqual(Array.from({ length: tokens }, (_, i) => `${rgb[0]}.${i}`));
        }
      }
    },
  };
}

describe('VisualStore', () => {
  it('encodes equal pictures once, in one batch and in later ones', () => {
    const { store, runs, place } = setUp(10);
    place(unit(1), unit(2, 3), unit(1));
    expect(runs).toEqual([[1, 2]]);
    place(unit(2, 3));
    place(unit(1), unit(3));
    expect(runs).toEqual([[1, 2], [3]]);
    expect(store.encoded).toBe(3);
  });

  it('submits nothing for pictures that are there', () => {
    const { runs, place } = setUp(10);
    place();
    expect(runs).toEqual([]);
  });

  it('makes room by what was not needed for longest', () => {
    const { runs, place } = setUp(4);
    for (const shade of [1, 2, 3, 4]) place(unit(shade));
    place(unit(1)); // 2 is the oldest now
    place(unit(5));
    expect(runs.flat()).toEqual([1, 2, 3, 4, 5]);
    place(unit(1), unit(3), unit(4));
    expect(runs.flat()).toEqual([1, 2, 3, 4, 5]);
    place(unit(2));
    expect(runs.flat()).toEqual([1, 2, 3, 4, 5, 2]);
    // 5 had to go for it.
    place(unit(1), unit(3), unit(4), unit(2));
    expect(runs.flat()).toEqual([1, 2, 3, 4, 5, 2]);
    place(unit(5));
    expect(runs.flat()).toEqual([1, 2, 3, 4, 5, 2, 5]);
  });

  it('takes no more away than is needed', () => {
    const { runs, place } = setUp(6);
    place(unit(1, 2), unit(2, 2), unit(3, 2));
    place(unit(4, 2));
    place(unit(2, 2), unit(3, 2));
    expect(runs).toEqual([[1, 2, 3], [4]]);
  });

  it('never takes away what the batch shows, however old', () => {
    const { runs, place } = setUp(4);
    place(unit(1));
    place(unit(2));
    place(unit(3));
    place(unit(4));
    place(unit(5, 2), unit(1), unit(2));
    expect(runs.at(-1)).toEqual([5]);
    place(unit(1), unit(2), unit(5, 2));
    expect(runs).toHaveLength(5);
  });

  it('fills all rows for one batch', () => {
    const { runs, place } = setUp(4);
    place(unit(1), unit(2));
    place(unit(3, 2), unit(4, 2));
    place(unit(5, 4));
    expect(runs).toEqual([[1, 2], [3, 4], [5]]);
  });

  it('cuts what is missing into runs of the tower, in order, by its room for patches', () => {
    const { runs, place, store } = setUp(100, 16);
    place(unit(1, 2), unit(2, 2), unit(3), unit(4, 4), unit(5, 3), unit(6), unit(7));
    expect(runs).toEqual([[1, 2], [3], [4], [5, 6], [7]]);
    expect(store.encoded).toBe(7);
  });

  it('holds what every batch shows, whatever came before', () => {
    const shade = fc.integer({ min: 1, max: 12 });
    // A shade's size is always the same, as a key's is.
    const batches = fc.array(fc.array(shade, { maxLength: 6 }), { maxLength: 12 });
    fc.assert(
      fc.property(batches, fc.integer({ min: 5, max: 30 }), (list, rows) => {
        const { place, store, runs } = setUp(rows, 20);
        for (const shades of list) {
          const units: VisualUnit[] = [];
          for (const one of new Set(shades)) {
            const columns = 1 + (one % 5);
            if (units.reduce((sum, { tokens }) => sum + tokens, columns) <= rows) units.push(unit(one, columns));
          }
          place(...units);
        }
        expect(store.encoded).toBe(runs.flat().length);
      }),
    );
  });

  it('does not count as there what a run that failed should have left', () => {
    const { store, runs, place, fail } = setUp(4, 8);
    place(unit(9));
    fail(new Error('no memory'));
    expect(() => store.place([unit(1, 2), unit(2)])).toThrow('no memory');
    fail(undefined);
    place(unit(9), unit(2));
    place(unit(1, 2), unit(2));
    expect(runs).toEqual([[9], [2], [1]]);
    expect(store.encoded).toBe(3);
  });
});

describe('placeVisuals', () => {
  const shown = (shade: number, at: number, columns = 1) => ({ unit: unit(shade, columns), at });

  it('names rows of the stores by their complement, equal ones for equal pictures', () => {
    const { store, contents } = setUp(6);
    const sequences: Sequence[] = [
      { ids: Int32Array.of(5, ~40, ~41, 6), visuals: [shown(1, 1, 2)] },
      { ids: Int32Array.of(7, 8) },
      { ids: Int32Array.of(~50, 9, ~40, ~41, 3), visuals: [shown(2, 0), shown(1, 2, 2)] },
    ];
    const placed = placeVisuals(sequences, store);
    const said = placed.map((ids) => [...ids].map((id) => (id < 0 ? contents.get('merged')![~id] : id)));
    expect(said).toEqual([
      [5, '1.0', '1.1', 6],
      [7, 8],
      ['2.0', 9, '1.0', '1.1', 3],
    ]);
    expect(placed[0]!.subarray(1, 3)).toEqual(placed[2]!.subarray(2, 4));
    // The next batch needs the numbers again.
    expect([...sequences[0]!.ids]).toEqual([5, ~40, ~41, 6]);
    expect(store.encoded).toBe(2);
  });

  it('leaves a batch of texts as it is', () => {
    const { store, runs } = setUp(6);
    const ids = Int32Array.of(1, 2);
    expect(placeVisuals([{ ids }, { ids, visuals: [] }], store)).toEqual([ids, ids]);
    expect(runs).toEqual([]);
  });

  it('follows runs that do not lie together', () => {
    const { store, contents, place } = setUp(5);
    for (const shade of [1, 2, 3]) place(unit(shade));
    place(unit(2)); // 1 and 3 go first
    const [ids] = placeVisuals([{ ids: Int32Array.of(~1, ~2, ~3, ~4, 9), visuals: [shown(8, 0, 4)] }], store);
    const said = [...ids!.subarray(0, 4)].map((id) => contents.get('deepstack')![~id]);
    expect(said).toEqual(['8.0', '8.1', '8.2', '8.3']);
    expect([...ids!.subarray(0, 4)].map((id) => ~id)).toEqual([0, 2, 3, 4]);
  });
});
