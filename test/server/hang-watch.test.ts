import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HangWatch, type HangWatchOptions } from '../../src/server/hang-watch.ts';

const hangMs = 30_000;
let sentence: string | undefined;
let probes = 0;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  sentence = undefined;
  probes = 0;
});
afterEach(() => void vi.useRealTimers());

function watchOf(options: Partial<HangWatchOptions> = {}): HangWatch {
  const watch = new HangWatch({ hangMs, abandonedTokens: 1000, probe: () => probes++, ...options });
  void watch.hung.then((text) => (sentence = text));
  return watch;
}

/** A watch that knows an engine of so many ms a token. */
function knowing(msPerToken: number): HangWatch {
  const watch = watchOf();
  const ticket = watch.sent(999);
  vi.advanceTimersByTime(100 + msPerToken * 1000);
  watch.answered(ticket);
  expect(watch.msPerToken).toBeCloseTo(msPerToken, 6);
  return watch;
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('silence', () => {
  test('of a fast engine is a hang after hangMs', async () => {
    const watch = knowing(0.1);
    watch.sent(16_384);
    await pass(hangMs);
    expect(sentence).toBeUndefined();
    await pass(2000);
    expect(sentence).toMatch(/^no answer for 3[01]\.\d s with 16385 tokens in flight$/);
  });

  test('of a slow engine may be ten times as long as its tokens took', async () => {
    const watch = knowing(30);
    watch.sent(16_384);
    expect(watch.limitMs).toBeCloseTo(10 * 30 * 16_385, 0);
    await pass(10 * 30 * 16_385);
    expect(sentence).toBeUndefined();
    await pass(3000);
    expect(sentence).toBeDefined();
  });

  test('before the first answer may be ten times hangMs', async () => {
    watchOf().sent(16);
    await pass(10 * hangMs);
    expect(sentence).toBeUndefined();
    await pass(2000);
    expect(sentence).toBeDefined();
  });

  test('ends with each answer', async () => {
    const watch = knowing(0);
    for (let i = 0; i < 20; i++) {
      const ticket = watch.sent(10);
      watch.sent(10);
      await pass(hangMs - 1000);
      watch.answered(ticket);
    }
    expect(sentence).toBeUndefined();
  });

  test('with nothing in flight is rest', async () => {
    const watch = knowing(0);
    expect(vi.getTimerCount()).toBe(0);
    await pass(10 * hangMs);
    const ticket = watch.sent(5);
    await pass(1000);
    watch.answered(ticket);
    expect(sentence).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is not made of refusals, however they overlap', async () => {
    const watch = knowing(0);
    let last = watch.sent(5);
    for (let i = 0; i < 100; i++) {
      const next = watch.sent(5);
      await pass(1000);
      watch.refused(last);
      last = next;
    }
    expect(sentence).toBeUndefined();
    // Nor do refusals hide it.
    watch.sent(5);
    for (let i = 0; i < 40; i++) {
      watch.refused(watch.sent(5));
      await pass(1000);
    }
    expect(sentence).toBeDefined();
  });
});

describe('the pace', () => {
  test('is the slowest of late: a burst of answers does not hide it, ten minutes halve it', async () => {
    const watch = knowing(20);
    const burst = Array.from({ length: 500 }, () => watch.sent(1));
    for (const ticket of burst) watch.answered(ticket);
    expect(watch.msPerToken).toBeCloseTo(20, 6);
    for (let i = 0; i < 600; i++) {
      const ticket = watch.sent(10_000);
      await pass(1000);
      watch.answered(ticket);
    }
    expect(watch.msPerToken).toBeGreaterThan(9.9);
    expect(watch.msPerToken).toBeLessThan(10.1);
  });

  test('does not count the way there and back', () => {
    const watch = watchOf();
    const ticket = watch.sent(1);
    vi.advanceTimersByTime(99);
    watch.answered(ticket);
    expect(watch.msPerToken).toBe(0);
  });
});

describe('calls that were given up', () => {
  test('still count as work, but for no more than runs already', () => {
    const watch = knowing(100);
    for (let i = 0; i < 50; i++) watch.abandoned(watch.sent(100));
    watch.sent(99);
    expect(watch.limitMs).toBeCloseTo(10 * 100 * (1000 + 100), 0);
  });

  test('are done when a later call is answered, not when an earlier one is', async () => {
    const watch = knowing(0);
    const first = watch.sent(1);
    const given = watch.sent(1);
    watch.abandoned(given);
    watch.answered(first);
    await pass(1000);
    expect(probes).toBe(1);
    watch.answered(watch.sent(1));
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('time during which this process was held up does not count', async () => {
  vi.useRealTimers();
  const watch = watchOf({ hangMs: 100, msPerToken: 0 });
  const ticket = watch.sent(1);
  const until = performance.now() + 400;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 20));
  watch.answered(ticket);
  await Promise.resolve();
  expect(sentence).toBeUndefined();
});
