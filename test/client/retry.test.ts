import { assert, double, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { passes, readRetryAfter, wait, waitBefore } from '../../src/client/retry.ts';

const now = Date.parse('2026-11-24T12:00:00Z');

test.each<[Record<string, string>, number | undefined]>([
  [{}, undefined],
  [{ 'retry-after': '2' }, 2000],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after-ms': '150', 'retry-after': '1' }, 150],
  [{ 'retry-after-ms': 'soon', 'retry-after': '1' }, 1000],
  [{ 'retry-after': 'Tue, 24 Nov 2026 12:00:03 GMT' }, 3000],
  [{ 'retry-after': 'Tue, 24 Nov 2026 11:00:00 GMT' }, 0],
  [{ 'retry-after': '-5' }, expect.toSatisfy((ms) => ms === undefined || ms >= 0) as never],
  [{ 'retry-after': 'later' }, undefined],
  [{ 'retry-after-ms': '1e9' }, undefined],
])('%j asks for %j ms', (headers, ms) => {
  expect(readRetryAfter(new Headers(headers), now)).toEqual(ms);
});

test('429 and 503 pass, nothing else does', () => {
  const statuses = Array.from({ length: 500 }, (_, i) => 100 + i).filter(passes);
  expect(statuses).toEqual([429, 503]);
});

describe('waits', () => {
  const random = double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('are no shorter than the server asks, and no more than a quarter longer', () => {
    assert(
      property(nat(1e6), nat(20), random, (asked, attempt, chance) => {
        const ms = waitBefore(attempt, asked, chance);
        // A server that says "at once" is not asked in a loop.
        const least = Math.max(asked, 100);
        expect(ms).toBeGreaterThanOrEqual(least);
        expect(ms).toBeLessThanOrEqual(1.25 * least);
      }),
    );
  });

  test('grow from half a second to eight where it does not ask', () => {
    assert(
      property(nat(2000), random, (attempt, chance) => {
        const whole = Math.min(500 * 2 ** attempt, 8000);
        const ms = waitBefore(attempt, undefined, chance);
        expect(ms).toBeGreaterThanOrEqual(whole / 2);
        expect(ms).toBeLessThanOrEqual(whole);
      }),
    );
  });

  test('end with the signal, at once where it was aborted before', async () => {
    const stopped = AbortSignal.abort(new Error('before'));
    await expect(wait(1e6, stopped)).rejects.toThrow('before');
    const stopping = new AbortController();
    const waiting = wait(1e6, stopping.signal);
    stopping.abort(new Error('meanwhile'));
    await expect(waiting).rejects.toThrow('meanwhile');
    await wait(1, new AbortController().signal);
  });
});
