import { getEventListeners } from 'node:events';
import type { ScoreTiming } from '../../src/rerank/rerank-phase.ts';
import { expect, test } from 'vitest';
import { flush } from './fake-clock.ts';
import { answersOf, codeOf, expectIdle, openQueue as open, serviceMs } from './queue-box.ts';
import { pairOf, pairsOf } from './stub-engine.ts';

test('an abort takes away what waits and aborts what runs', async () => {
  const box = open();
  const { clock, engine, call } = box;
  const controller = new AbortController();
  const gone = call(pairsOf(50, 100), {}, controller.signal);
  const stays = call(pairsOf(3, 100));
  await clock.advance(serviceMs + 1);
  controller.abort();
  await flush();
  expect(codeOf(gone)).toBe('cancelled');
  const reached = engine.slices.filter(({ pairs }) => gone.pairs.includes(pairs[0]!));
  expect(reached.length).toBeLessThanOrEqual(3);
  expect(reached.filter(({ aborted }) => aborted).length).toBe(reached.length - 1);
  await clock.advance(1000);
  expect(stays.logits).toEqual(answersOf(stays.pairs));
  expect(engine.slices).toHaveLength(reached.length + 3);
  expectIdle(box);
});

test('an abort of the slice that did not fit lets the next one through', async () => {
  const { clock, engine, call } = open({}, { serviceMs: 1e6 });
  call([pairOf(90)]);
  call([pairOf(90)]);
  const controller = new AbortController();
  call([pairOf(90)], {}, controller.signal);
  call([pairOf(10)]);
  await clock.advance(1);
  expect(engine.running).toBe(2);
  controller.abort();
  expect(engine.running).toBe(3);
});

test('aborted before it begins: nothing happens', async () => {
  const { engine, call, queue } = open();
  const gone = call([pairOf(1)], {}, AbortSignal.abort());
  await flush();
  expect([codeOf(gone), engine.slices.length, queue.queue.openCalls]).toEqual(['cancelled', 0, 0]);
});

test('a deadline ends what waits without starting it, and what runs', async () => {
  const box = open({}, { ignoresAbort: true, serviceMs: 100 });
  const { clock, engine, queue, call } = box;
  const running = [call([pairOf(100)], { deadlineMs: 50 }), call([pairOf(100)])];
  const waiting = call([pairOf(100)], { deadlineMs: 70 });
  const late = call([pairOf(100)], { deadlineMs: 250 });
  await clock.advance(1000);
  expect([codeOf(running[0]!), running[0]!.at]).toEqual(['deadline-exceeded', 1050]);
  expect([codeOf(waiting), waiting.at]).toEqual(['deadline-exceeded', 1070]);
  expect([codeOf(late), late.at]).toEqual(['deadline-exceeded', 1250]);
  expect(running[1]!.logits).toEqual(answersOf(running[1]!.pairs));
  expect(engine.slices).toHaveLength(3);
  expect(engine.slices.map(({ aborted }) => aborted)).toEqual([true, false, true]);
  expect(queue.queue.ended).toMatchObject({ expired: 3, answered: 1 });
  expectIdle(box);
});

test('a deadline holds when the event loop was busy', async () => {
  const box = open();
  const { clock, engine, call } = box;
  // The engine is done with the first one in time, but nobody looks.
  const calls = [call([pairOf(100)], { deadlineMs: 15 }), call([pairOf(100)]), call([pairOf(100)], { deadlineMs: 15 })];
  clock.skip(16);
  // Both the engine's answer and the deadlines are overdue; the answer comes first.
  await clock.advance(1000);
  expect(calls.map(codeOf)).toEqual(['deadline-exceeded', undefined, 'deadline-exceeded']);
  expect(engine.slices).toHaveLength(2);
  expectIdle(box);
});

test('an answered call leaves neither timer nor listener behind', async () => {
  const { clock, call } = open();
  const { signal } = new AbortController();
  const asked = call([pairOf(100)], { deadlineMs: 1000, group: 'a' }, signal);
  await flush();
  expect([clock.timers.size, getEventListeners(signal, 'abort').length]).toEqual([2, 1]);
  await clock.advance(serviceMs);
  expect(asked.logits).toBeDefined();
  expect([clock.timers.size, getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
});

test('no time at all: refused', async () => {
  const { engine, call } = open();
  const [none, less] = [call([pairOf(1)], { deadlineMs: 0 }), call([pairOf(1)], { deadlineMs: -3 })];
  await flush();
  expect([codeOf(none), codeOf(less)]).toEqual(['deadline-exceeded', 'deadline-exceeded']);
  expect(engine.slices).toEqual([]);
});

test('a failed slice fails its call and no other', async () => {
  const bad = pairsOf(20, 100);
  const box = open({}, { failure: (pairs) => (pairs[0] === bad[3] ? new TypeError('a bug') : undefined) });
  const { clock, engine, queue, call } = box;
  const fails = call(bad);
  const fine = call(pairsOf(3, 100));
  await clock.advance(1000);
  expect(fails.error).toEqual(new TypeError('a bug'));
  expect(fine.logits).toEqual(answersOf(fine.pairs));
  expect(engine.slices.length).toBeLessThanOrEqual(3 + 6);
  expect(queue.queue.ended).toMatchObject({ failed: 1, answered: 1 });
  expectIdle(box);
});

test('an engine that answers too little is not believed', async () => {
  const { engine, queue } = open();
  engine.score = async () => new Float32Array(1);
  await expect(queue.score(pairsOf(2, 10))).rejects.toThrow('the engine answered 1 logits for 2 pairs');
});

test('close refuses what waits and what comes', async () => {
  const box = open();
  const { queue, engine, call } = box;
  const calls = [call(pairsOf(5, 100)), call([pairOf(100)])];
  await queue.close();
  calls.push(call([pairOf(1)]));
  await flush();
  expect(calls.map(codeOf)).toEqual(Array(3).fill('engine-stopped'));
  expect(engine.closed).toBe(true);
  expect(engine.slices).toHaveLength(2);
  expectIdle(box);
});

test('every call’s times are told', async () => {
  const timings: Record<string, number> = {};
  const { clock, queue, call } = open();
  const watch = (name: string) => ({ observe: ({ queuedMs }: ScoreTiming) => (timings[name] = queuedMs) });
  call(pairsOf(2, 100), watch('first'));
  call(pairsOf(2, 100), watch('second'));
  call([pairOf(100)], { ...watch('late'), deadlineMs: 5 });
  await flush();
  expect(await queue.stats()).toMatchObject({ queuedPairs: 3, queuedTokens: 300, queue: { runningTokens: 200 } });
  await clock.advance(1000);
  expect(timings).toEqual({ late: 5, first: 0, second: 10 });
  expect(queue.queue.ended).toEqual({ answered: 2, failed: 0, cancelled: 0, expired: 1 });
  expect(queue.queue.tokensPerSecond).toBeCloseTo(10_000);
});
