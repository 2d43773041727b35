import { describe, expect, it } from 'vitest';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { VisualPairs, type VisualUnit } from '../../src/rerank/visual-pairs.ts';
import type { VisualStore } from '../../src/rerank/visual-store.ts';
import { fakeVision, mediaOf, pads } from '../support/fake-vision.ts';
import { outcomeOf, pair, seeing, setUp, turns } from './engine-setup.ts';

/** An engine that sees, over a store that only remembers. Row 0 of it is nowhere, so that an id left as it was would show. */
function setUpSeeing(mostPatches = 100) {
  const released: number[] = [];
  class WatchedPairs extends VisualPairs {
    override release(sequence: Parameters<VisualPairs['release']>[0]): void {
      released.push(sequence.ids.length);
      super.release(sequence);
    }
  }
  const pairs = new WatchedPairs(fakeVision, mostPatches);
  const placed: string[][] = [];
  const store: Pick<VisualStore, 'place'> = {
    place(units: Iterable<VisualUnit>) {
      const all = [...units];
      placed.push(all.map(({ key }) => key));
      return new Map(all.map(({ key, tokens }) => [key, [{ first: 1 + key.length, rows: tokens }]]));
    },
  };
  const set = setUp({}, 8, { pairs, store: store as VisualStore });
  /** The number that the next new picture gets: 0 when none is held. */
  const nextNumber = () => {
    const sequence = pairs.sequence(seeing([pads.image, 1], mediaOf(250)));
    pairs.release(sequence);
    released.pop();
    return ~sequence.ids[0]!;
  };
  return { ...set, released, placed, nextNumber };
}

/** Ids as the plan gets them. */
const rowIds = (sequences: readonly number[][]) => sequences.map((ids) => ids.map((id) => id | 0));

describe('pictures', () => {
  it('of a model that reads texts are refused', async () => {
    const { engine, runs } = setUp();
    await expect(engine.score([pair(1), seeing([1], mediaOf(1))])).rejects.toMatchObject({
      code: 'media-unsupported',
      message: '[engine] pair 1 has pictures (this model reads text only)',
    });
    const call = engine.score([{ ...pair(1), media: [] }]);
    await turns();
    runs[0]!.answer();
    expect(await outcomeOf(call)).toEqual([1]);
  });

  it('become rows of the store, equal ones once, and positions of three axes', async () => {
    const { engine, runs, placed, positionsOf } = setUpSeeing();
    const wide = mediaOf(7, { columns: 2 });
    const calls = [
      engine.score([seeing([3, pads.image, pads.image, 4], wide), pair(5)]),
      engine.score([seeing([pads.image, pads.image, 6], wide)]),
    ];
    await turns();
    const key = `${wide.hash}/0`;
    const rows = [1 + key.length, 2 + key.length].map((row) => ~row);
    expect(placed).toEqual([[key, key]]);
    expect(rowIds(runs[0]!.sequences)).toEqual([[3, ...rows, 4], [5], [...rows, 6]]);
    const runOf = (at: number) => [{ at, rows: 1, columns: 2 }];
    expect(positionsOf[0]).toEqual([
      fakeVision.positions(4, runOf(1)),
      fakeVision.positions(1, []),
      fakeVision.positions(3, runOf(0)),
    ]);
    runs[0]!.answer();
    await Promise.all(calls);
  });

  it('are not looked for in a batch of texts, whose positions are said all the same', async () => {
    const { engine, runs, placed, positionsOf } = setUpSeeing();
    const call = engine.score([pair(5, 6)]);
    await turns();
    expect(placed).toEqual([]);
    expect(positionsOf).toEqual([[fakeVision.positions(2, [])]]);
    runs[0]!.answer();
    expect(await outcomeOf(call)).toEqual([11]);
  });

  it('release their numbers when the call ends well', async () => {
    const { engine, runs, released, nextNumber } = setUpSeeing();
    const call = engine.score([seeing([pads.image, 1], mediaOf(1)), seeing([pads.image, 2], mediaOf(2))]);
    await turns();
    expect([released, nextNumber()]).toEqual([[], 2]);
    runs[0]!.answer();
    await call;
    expect([released, nextNumber()]).toEqual([[2, 2], 0]);
  });

  it.each(['before its batch', 'in its batch'])('release them once when the caller aborts %s', async (when) => {
    const { engine, runs, released, nextNumber } = setUpSeeing();
    const controller = new AbortController();
    const call = engine.score([seeing([pads.image, 1], mediaOf(1))], controller.signal);
    if (when === 'in its batch') await turns();
    expect(nextNumber()).toBe(1);
    controller.abort();
    expect(await outcomeOf(call)).toBe('cancelled');
    expect([released, nextNumber()]).toEqual([[2], 0]);
    await turns();
    for (const run of runs) run.answer();
    await turns();
    expect(released).toEqual([2]);
    expect(runs).toHaveLength(when === 'in its batch' ? 1 : 0);
  });

  it('release them when the batch fails, and when the device is lost', async () => {
    const { engine, runs, released, nextNumber, lose } = setUpSeeing();
    const failing = engine.score([seeing([pads.image, 1], mediaOf(1))]);
    await turns();
    runs[0]!.fail(new Error('a bug'));
    expect(await outcomeOf(failing)).toBe('Error: a bug');
    expect([released, nextNumber()]).toEqual([[2], 0]);
    const lost = engine.score([seeing([pads.image, 1, 2], mediaOf(1))]);
    await turns();
    lose();
    await expect(lost).rejects.toMatchObject({ code: 'device-lost' });
    expect([released, nextNumber()]).toEqual([[2, 3], 0]);
  });

  it.each<[string, EnginePair, string]>([
    [
      'input-invalid',
      seeing([pads.image, 1]),
      '[engine] token 0 stands for no picture, or for one that does not fit there',
    ],
    ['input-invalid', seeing([1], mediaOf(1)), '[engine] 1 pictures and frame pairs for 0 places'],
    [
      'media-too-large',
      seeing([pads.image, 1], mediaOf(1, { rows: 4, columns: 7 })),
      '[engine] a picture of 32 x 56 pixels has 112 patches (this server has room for 100 at a time: show a smaller one)',
    ],
    [
      'input-invalid',
      seeing([-3, 1], mediaOf(1)),
      "[engine] pair 1 holds token id -3 (the model's vocabulary has 100 entries)",
    ],
  ])('that do not fit their pair are refused, and nothing is held: %s', async (code, bad, message) => {
    const { engine, runs, nextNumber } = setUpSeeing();
    const call = engine.score([seeing([pads.image, 1], mediaOf(1)), bad]);
    await expect(call).rejects.toMatchObject({ code, message });
    await turns();
    expect(runs).toEqual([]);
    expect(nextNumber()).toBe(0);
  });
});
