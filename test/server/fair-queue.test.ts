import { describe, expect, test } from 'vitest';
import type { EnginePair } from '../../src/rerank/engine.ts';
import type { OverloadedError } from '../../src/server/overloaded-error.ts';
import { flush } from './fake-clock.ts';
import { answersOf, batch, codeOf, expectIdle, openQueue as open, serviceMs, type Watched } from './queue-box.ts';
import { pairOf, pairsOf } from './stub-engine.ts';

const estimateOf = (calls: Watched[]) =>
  (calls.find((one) => codeOf(one) === 'overloaded')!.error as OverloadedError).estimatedWaitMs;

/** Looks the same as text, whatever picture it shows. */
const show = (hash: string, own: number): EnginePair => ({
  ids: Int32Array.from({ length: 40 }, (_, at) => (at < 39 ? 7 : own)),
  truncatedTokens: 0,
  media: [{ kind: 'image', rgb: new Uint8Array(), frames: 1, height: 32, width: 32, hash }],
});

describe('slices', () => {
  test('a call is cut into batches, in order, and answered in order', async () => {
    const { clock, engine, queue, call } = open();
    const asked = call([pairOf(60), pairOf(40), pairOf(1), pairOf(99), pairOf(250), pairOf(70), pairOf(70)]);
    await clock.advance(1000);
    expect(engine.slices.map(({ pairs }) => pairs.length)).toEqual([2, 2, 1, 1, 1]);
    expect(engine.slices.flatMap(({ pairs }) => pairs)).toEqual(asked.pairs);
    expect(asked.logits).toEqual(answersOf(asked.pairs));
    expectIdle({ clock, engine, queue });
  });

  test('what a decoder’s prompts begin with counts once', async () => {
    const prompts = Array.from({ length: 12 }, (_, i) => ({
      ids: Int32Array.from({ length: 60 }, (_, at) => (at < 50 ? at : 1000 * i + at)),
      truncatedTokens: 0,
    }));
    for (const [kind, counts] of [
      ['text-decoder', [5, 5, 2]],
      ['cross-encoder', Array(12).fill(1)],
    ] as const) {
      const { clock, engine, call } = open({}, { info: { kind } });
      call(prompts);
      await clock.advance(1000);
      expect(engine.slices.map(({ pairs }) => pairs.length)).toEqual(counts);
    }
  });

  test('pads of different pictures are different tokens', async () => {
    const { clock, engine, call } = open({}, { info: { kind: 'vl-decoder' } });
    call([...[1, 2, 3, 4, 5].map((i) => show('same', i)), ...[6, 7, 8].map((i) => show(`other ${i}`, i))]);
    await clock.advance(1000);
    // 39 + 5 tokens for the five that show the same, 40 for each of the others.
    expect(engine.slices.map(({ pairs }) => pairs.length)).toEqual([6, 2]);
  });

  test('two batches’ worth is at the engine, a longer pair alone', async () => {
    const { clock, engine, call } = open();
    call(pairsOf(10, 100));
    await clock.advance(5);
    expect([engine.running, engine.runningTokens]).toEqual([2, 200]);
    await clock.advance(1000);
    call([pairOf(450), pairOf(450)]);
    call([pairOf(1)]);
    await clock.advance(5);
    expect(engine.runningTokens).toBe(450);
    await clock.advance(1000);
    expect(engine.mostTokens).toBe(450);
    expect(engine.slices).toHaveLength(13);
  });

  test('small calls run together', async () => {
    const { clock, engine, call } = open();
    for (let i = 0; i < 25; i++) call([pairOf(10)]);
    await flush();
    expect(engine.running).toBe(20);
    await clock.advance(1000);
    expect(engine.slices).toHaveLength(25);
  });

  test('no pairs: no work', async () => {
    const { engine, queue } = open();
    expect(await queue.score([])).toEqual(new Float32Array());
    expect(engine.slices).toEqual([]);
  });
});

describe('fairness', () => {
  test('a short call does not wait for a long one', async () => {
    const { clock, call, order } = open();
    const long = call(pairsOf(1000, 100));
    await clock.advance(15);
    const short = call([pairOf(30)]);
    const other = call([pairOf(30)]);
    await clock.advance(20_000);
    // One was done and two were at the engine when they came, and it was the long one's turn.
    expect(order({ long, short, other }).slice(0, 7)).toEqual([
      'long1',
      'long1',
      'long1',
      'long1',
      'short1',
      'other1',
      'long1',
    ]);
    expect(short.at! - 1015).toBeLessThanOrEqual(4 * serviceMs);
    // 1,000 slices and the two others.
    expect(long.at! - 1000).toBe(1002 * serviceMs);
  });

  test('calls get equal tokens, not equal slices', async () => {
    const { clock, engine, call } = open({}, { serviceMs: (pairs) => pairs.length });
    const large = call(pairsOf(100, 90));
    const small = call(pairsOf(100, 60));
    await clock.advance(60);
    const served = (all: readonly EnginePair[]) =>
      engine.slices.filter(({ pairs }) => all.includes(pairs[0]!)).reduce((sum, { tokens }) => sum + tokens, 0);
    expect(Math.abs(served(large.pairs) - served(small.pairs))).toBeLessThanOrEqual(2 * batch);
  });

  test('groups get equal shares, however many calls they have', async () => {
    const { clock, engine, call } = open({ maxQueuedTokens: 100_000 });
    const many = Array.from({ length: 30 }, () => call(pairsOf(4, 100), { group: 'a' }));
    const one = call(pairsOf(30, 100), { group: 'b' });
    await clock.advance(serviceMs * 60);
    const ofB = engine.slices.slice(0, 60).filter(({ pairs }) => one.pairs.includes(pairs[0]!)).length;
    expect(ofB).toBeGreaterThanOrEqual(28);
    expect(many.filter(({ at }) => at !== undefined).length).toBeLessThan(10);
    await clock.advance(10_000);
    for (const { pairs, logits } of [...many, one]) expect(logits).toEqual(answersOf(pairs));
  });
});

describe('bounds', () => {
  test('refuses at once when too many calls wait', async () => {
    const box = open({ maxQueuedCalls: 3 });
    const { clock, queue, call } = box;
    const running = [call([pairOf(100)]), call([pairOf(100)])];
    const waiting = [1, 2, 3].map(() => call([pairOf(100)]));
    const refused = call([pairOf(1)]);
    await flush();
    expect(codeOf(refused)).toBe('overloaded');
    expect((refused.error as Error).message).toBe(
      '[queue] the queue is full: 3 calls with 300 tokens wait (come back later)',
    );
    expect(queue.queue).toMatchObject({ refused: 1, waitingCalls: 3, openCalls: 5 });
    await clock.advance(1000);
    for (const { logits } of [...running, ...waiting]) expect(logits).toHaveLength(1);
    expectIdle(box);
  });

  test('refuses when too many tokens wait, exactly', async () => {
    const { clock, call } = open({ maxQueuedTokens: 1000 });
    for (let i = 0; i < 12; i++) call([pairOf(100)]);
    const [over] = [call([pairOf(1)])];
    await flush();
    expect(codeOf(over!)).toBe('overloaded');
    await clock.advance(serviceMs);
    const [fits, second] = [call([pairOf(100)]), call([pairOf(1)])];
    await flush();
    expect([codeOf(fits), codeOf(second)]).toEqual([undefined, 'overloaded']);
    await clock.advance(1000);
  });

  test('a call larger than the bound waits like any other, and leaves others a place', async () => {
    const { clock, queue, call } = open({ maxQueuedTokens: 1000 });
    const huge = [0, 1, 2, 3].map(() => call(pairsOf(50, 100)));
    const fifth = call(pairsOf(50, 100));
    await flush();
    expect(queue.queue.waitingTokens).toBe(19_800);
    expect(codeOf(fifth)).toBe('overloaded');
    await clock.advance(0.98 * 200 * serviceMs);
    const small = call([pairOf(100)]);
    await clock.advance(1000);
    for (const { pairs, logits } of [...huge, small]) expect(logits).toEqual(answersOf(pairs));
  });

  test('no group takes all of the room', async () => {
    const { clock, call } = open({ maxQueuedCalls: 100, maxQueuedTokens: 10_000 });
    const flood = Array.from({ length: 200 }, () => call([pairOf(50)], { group: 'flood' }));
    const guests = Array.from({ length: 10 }, () => call([pairOf(50)], { group: 'guest' }));
    await flush();
    expect(flood.filter((one) => codeOf(one) === 'overloaded')).toHaveLength(200 - 80 - 4);
    expect(guests.map(codeOf)).toEqual(Array(10).fill(undefined));
    await clock.advance(30 * serviceMs);
    expect(guests.every(({ logits }) => logits)).toBe(true);
    await clock.advance(10_000);
  });

  test('the estimate is the time that the work ahead takes', async () => {
    const { clock, call } = open({ maxQueuedTokens: 1000 });
    const fill = () => Array.from({ length: 20 }, () => call([pairOf(100)]));
    const first = fill();
    await flush();
    expect(estimateOf(first)).toBeUndefined();
    await clock.advance(1000);
    const second = fill();
    await flush();
    // 12 batches of 10 ms each.
    expect(estimateOf(second)).toBeCloseTo(120);
    await clock.advance(1000);
  });

  test('tells before a call comes in whether it would be refused, until a part of the room is free', async () => {
    const { clock, queue, call } = open({ maxQueuedTokens: 3200 });
    expect(queue.refusal()).toBeUndefined();
    for (let i = 0; i < 33; i++) call([pairOf(100)]);
    expect(queue.refusal()).toBeUndefined();
    const [, over] = [call([pairOf(100)]), call([pairOf(100)])];
    await flush();
    expect(codeOf(over)).toBe('overloaded');
    await clock.advance(serviceMs);
    expect(queue.refusal()).toMatchObject({ code: 'overloaded' });
    await clock.advance(serviceMs);
    expect(queue.refusal()).toBeUndefined();
    // Asking is not being refused.
    expect(queue.queue.refused).toBe(1);
    await clock.advance(1000);
  });
});
