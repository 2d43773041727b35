import { expect, test } from 'vitest';
import { answersOf, codeOf, expectIdle, openQueue as open } from './queue-box.ts';
import { pairsOf } from './stub-engine.ts';

test('calls of one request share its turns: 16 at once get no more than one would', async () => {
  const { clock, engine, queue, call } = open();
  const request = {};
  const many = Array.from({ length: 16 }, () => call(pairsOf(10, 100), { request }));
  const other = call(pairsOf(10, 100), { request: {} });
  await clock.advance(5000);
  // Three slices of the others before its first, then every other one.
  const last = engine.slices.findLastIndex(({ pairs }) => other.pairs.includes(pairs[0]!));
  expect(last).toBeLessThanOrEqual(3 + 2 * 10);
  for (const { pairs, logits } of [...many, other]) expect(logits).toEqual(answersOf(pairs));
  expectIdle({ clock, engine, queue });
});

test('calls of one request count once, and once one is let in the others are', async () => {
  const { clock, engine, queue, call } = open({ maxQueuedCalls: 2 });
  const request = {};
  const begun = Array.from({ length: 5 }, () => call(pairsOf(10, 100), { request }));
  expect(queue.queue.waitingCalls).toBe(1);
  call(pairsOf(10, 100), { request: {} });
  const refused = call(pairsOf(1, 100), { request: {} });
  const later = call(pairsOf(1, 100), { request });
  await clock.advance(5000);
  expect(codeOf(refused)).toBe('overloaded');
  for (const { pairs, logits } of [...begun, later]) expect(logits).toEqual(answersOf(pairs));
  expectIdle({ clock, engine, queue });
});

test('a call of a request that gives up leaves the others of it', async () => {
  const { clock, engine, queue, call } = open();
  const request = {};
  const stop = new AbortController();
  call(pairsOf(10, 100), { request: {} });
  const first = call(pairsOf(5, 100), { request }, stop.signal);
  const second = call(pairsOf(5, 100), { request });
  stop.abort();
  await clock.advance(5000);
  expect(codeOf(first)).toBe('cancelled');
  expect(second.logits).toEqual(answersOf(second.pairs));
  expectIdle({ clock, engine, queue });
});
