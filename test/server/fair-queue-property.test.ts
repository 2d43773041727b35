import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { WgrankError } from '../../src/errors.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { FairQueue } from '../../src/server/fair-queue.ts';
import { fakeLogit } from '../support/fake-engine.ts';
import { FakeClock, flush } from './fake-clock.ts';
import { pairOf, StubEngine } from './stub-engine.ts';

const batch = 100;
const maxQueuedTokens = 1500;
const maxQueuedCalls = 12;

const someCall = fc.record({
  /** Milliseconds after the call before. */
  gap: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }) }),
  lengths: fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.integer({ min: 1, max: 130 }), { minLength: 1, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.array(fc.integer({ min: 50, max: 260 }), { minLength: 20, maxLength: 40 }) },
  ),
  group: fc.constantFrom(undefined, undefined, 'a', 'b', 'c'),
  abortAfter: fc.option(fc.integer({ min: 0, max: 400 }), { nil: undefined, freq: 4 }),
  deadlineMs: fc.option(fc.integer({ min: 1, max: 600 }), { nil: undefined, freq: 4 }),
});

type Outcome = 'answered' | 'overloaded' | 'cancelled' | 'deadline-exceeded' | 'failed';

test('any arrivals: answers complete and in order, bounds hold, nothing is left behind', async () => {
  const seen = new Map<Outcome, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(someCall, { minLength: 1, maxLength: 60 }),
      fc.boolean(),
      fc.constantFrom('cross-encoder' as const, 'text-decoder' as const),
      fc.nat(6),
      async (arrivals, ignoresAbort, kind, failEvery) => {
        const clock = new FakeClock();
        let answered = 0;
        const engine = new StubEngine({
          clock,
          ignoresAbort,
          info: { maxBatchTokens: batch, kind },
          serviceMs: (pairs) => 1 + pairs.reduce((sum, { ids }) => sum + ids.length, 0) / 20,
          failure: () => (failEvery > 0 && ++answered % (10 * failEvery) === 0 ? new TypeError('a bug') : undefined),
        });
        const queue = new FairQueue(engine, { clock, maxQueuedTokens, maxQueuedCalls });
        const ends: Promise<void>[] = [];
        const taken = new Set<EnginePair>();
        const excess: number[] = [];
        for (const { gap, lengths, group, abortAfter, deadlineMs } of arrivals) {
          await clock.advance(gap);
          const pairs = lengths.map(pairOf);
          const controller = new AbortController();
          if (abortAfter !== undefined) clock.after(abortAfter, () => controller.abort());
          const arrivedAt = clock.now();
          const end = queue.score(pairs, controller.signal, { group, deadlineMs }).then(
            (logits): Outcome => {
              expect(logits).toEqual(Float32Array.from(pairs, ({ ids }) => fakeLogit(ids)));
              expect(clock.now() - arrivedAt).toBeLessThan(deadlineMs ?? Infinity);
              return 'answered';
            },
            (error: WgrankError): Outcome => {
              if (error.code === 'overloaded') expect(clock.now()).toBe(arrivedAt);
              if (error.code === 'deadline-exceeded') expect(clock.now() - arrivedAt).toBe(deadlineMs);
              if (error.code === 'cancelled') expect(clock.now() - arrivedAt).toBe(abortAfter);
              return (error.code as Outcome | undefined) ?? 'failed';
            },
          );
          ends.push(end.then((outcome) => void seen.set(outcome, (seen.get(outcome) ?? 0) + 1)));
          await flush();
          const { waitingCalls, waitingTokens, runningTokens, runningSlices } = queue.queue;
          expect(waitingCalls).toBeLessThanOrEqual(maxQueuedCalls);
          // A longer call counts for a quarter of the bound, so that at most four of them can exceed it.
          const tokens = lengths.reduce((sum, length) => sum + length, 0);
          if (tokens > maxQueuedTokens / 4) excess.push(tokens - maxQueuedTokens / 4);
          const most = excess.toSorted((a, b) => b - a).slice(0, 4);
          expect(waitingTokens).toBeLessThanOrEqual(maxQueuedTokens + most.reduce((sum, one) => sum + one, 0));
          if (runningSlices > 1) expect(runningTokens).toBeLessThanOrEqual(2 * batch);
        }
        await clock.advance(100_000);
        await Promise.all(ends);
        for (const { pairs } of engine.slices) {
          for (const pair of pairs) {
            expect(taken.has(pair)).toBe(false);
            taken.add(pair);
          }
        }
        expect(queue.queue).toMatchObject({ waitingCalls: 0, waitingTokens: 0, waitingGroups: 0, openCalls: 0 });
        expect(queue.queue).toMatchObject({ runningSlices: 0, runningTokens: 0 });
        const { refused, ended } = queue.queue;
        expect(refused + ended.answered + ended.failed + ended.cancelled + ended.expired).toBe(arrivals.length);
        expect([engine.running, clock.timers.size]).toEqual([0, 0]);
        expect(await queue.score([pairOf(1)].slice(1))).toHaveLength(0);
        expect(queue.refusal()).toBeUndefined();
      },
    ),
    { numRuns: 300 },
  );
  // Every way to end was taken, or the property said nothing about it.
  for (const outcome of ['answered', 'overloaded', 'cancelled', 'deadline-exceeded', 'failed'] as const)
    expect(seen.get(outcome), outcome).toBeGreaterThan(20);
});
