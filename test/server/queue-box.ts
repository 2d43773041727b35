import { expect } from 'vitest';
import type { WgrankError } from '../../src/errors.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import type { ScoreOptions } from '../../src/rerank/rerank-phase.ts';
import { FairQueue, type FairQueueOptions } from '../../src/server/fair-queue.ts';
import { fakeLogit } from '../support/fake-engine.ts';
import { FakeClock } from './fake-clock.ts';
import { StubEngine, type StubOptions } from './stub-engine.ts';

export const batch = 100;
export const serviceMs = 10;

export interface Watched {
  readonly pairs: readonly EnginePair[];
  readonly promise: Promise<Float32Array>;
  logits?: Float32Array;
  error?: unknown;
  /** When it ended. */
  at?: number;
}

/** A queue whose batches are of 100 tokens and take 10 ms. */
export function openQueue(options: FairQueueOptions = {}, stub: StubOptions = {}) {
  const clock = new FakeClock();
  const info = { maxBatchTokens: batch, ...stub.info };
  const engine = new StubEngine({ clock, serviceMs, ...stub, info });
  const queue = new FairQueue(engine, { clock, ...options });
  const call = (pairs: readonly EnginePair[], callOptions?: ScoreOptions, signal?: AbortSignal): Watched => {
    const watched: Watched = { pairs, promise: queue.score(pairs, signal, callOptions) };
    const end = () => void (watched.at = clock.now());
    watched.promise.then(
      (logits) => (end(), (watched.logits = logits)),
      (error: unknown) => (end(), (watched.error = error)),
    );
    return watched;
  };
  /** Which call each slice at the engine belonged to, and how many pairs it had. */
  const order = (calls: Record<string, Watched>) =>
    engine.slices.map(({ pairs }) => {
      const [name] = Object.entries(calls).find(([, { pairs: all }]) => all.includes(pairs[0]!))!;
      return `${name}${pairs.length}`;
    });
  return { clock, engine, queue, call, order };
}

/** Nothing waits in the queue, runs, or is owed an answer. */
export const expectEmpty = (queue: FairQueue) =>
  expect(queue.queue).toMatchObject({
    waitingCalls: 0,
    waitingTokens: 0,
    waitingGroups: 0,
    openCalls: 0,
    runningSlices: 0,
    runningTokens: 0,
  });

export const expectIdle = ({
  clock,
  engine,
  queue,
}: Pick<ReturnType<typeof openQueue>, 'clock' | 'engine' | 'queue'>) => {
  expectEmpty(queue);
  expect(clock.timers.size).toBe(0);
  expect(engine.running).toBe(0);
};
export const answersOf = (pairs: readonly EnginePair[]) => Float32Array.from(pairs, ({ ids }) => fakeLogit(ids));
export const codeOf = (watched: Watched) => (watched.error as WgrankError | undefined)?.code;
