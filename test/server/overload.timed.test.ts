import { afterEach, describe, expect, test } from 'vitest';
import express from 'express';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { Admission } from '../../src/server/admission.ts';
import { createApp } from '../../src/server/app.ts';
import { answerErrors } from '../../src/server/error-answer.ts';
import { FairQueue, type FairQueueOptions } from '../../src/server/fair-queue.ts';
import { listen, type RunningApp } from './fake-reranker.ts';
import { percentile, runLoad, type LoadResult } from './load.ts';
import { showFigures } from '../support/figures.ts';
import { tiered } from '../support/tier.ts';
import { StubEngine } from './stub-engine.ts';

const tokensOfDocument = 10;
/** Ten documents fill a batch. */
const batch = 10 * tokensOfDocument;
const serviceMs = 40;
/** Requests of ten documents per second. */
const capacity = 1000 / serviceMs;

const opened: RunningApp[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) await app.close();
});

/** The whole HTTP side over an engine that takes 40 ms for a slice and runs one after the other. */
async function open(options: FairQueueOptions = {}) {
  const engine = new StubEngine({ serviceMs, info: { maxBatchTokens: batch } });
  const queue = new FairQueue(engine, options);
  const reranker = createReranker({
    engine: queue,
    encoder: {
      encode: async (_query, documents) =>
        documents.map(() => ({ ids: new Int32Array(tokensOfDocument).fill(1), truncatedTokens: 0 })),
      close: async () => undefined,
    },
  });
  const admission = new Admission({ maxHeldBytes: 2 ** 26, refusal: () => queue.refusal() });
  const app = express();
  app.use(admission.admitBody, createApp(reranker), answerErrors(console.error));
  const running = await listen(app);
  opened.push(running);
  return { url: running.url, queue, admission };
}

const bodyOf = (documents: number) => ({ query: 'q', documents: Array(documents).fill('a short document') });
const withStatus = (results: readonly LoadResult[], status: number) => results.filter((one) => one.status === status);

const maxQueuedCalls = 40;
const seconds = tiered(6, 600);
/** Two slices at the engine and the request itself come on top of the queue. */
const longestWaitMs = 1.2 * (maxQueuedCalls + 3) * serviceMs;

/** Every request is answered, whatever else runs on the machine. */
async function overload(url: string, factor: number) {
  // The first hundreds pay for the compiler: refusals are the path to be measured.
  const results = await runLoad({ url, body: bodyOf(10), perSecond: factor * capacity, warmUpSeconds: 4, seconds });
  const answered = withStatus(results, 200);
  const refused = withStatus(results, 429);
  expect(results.length).toBe(factor * capacity * seconds);
  expect(answered.length + refused.length).toBe(results.length);
  for (const { retryAfterMs } of refused) expect(retryAfterMs).toBeGreaterThan(0);
  // Answers while requests arrive; the first ones fill the queue.
  const done = answered.filter(({ sentAt, ms }) => sentAt + ms > 500 && sentAt + ms <= seconds * 1000);
  const figures = {
    goodput: done.length / (seconds - 0.5),
    refusedP99: percentile(refused, 0.99),
    answeredP99: percentile(answered, 0.99),
  };
  showFigures({ factor, ...figures });
  return figures;
}

describe.each([2, 10])('overload is refused, not lost: %i times the capacity, open loop', (factor) => {
  const limit = (seconds + 60) * 1000;
  test('every request is answered, goodput stays, refusals are quick', { timeout: limit }, async () => {
    const { url, queue, admission } = await open({ maxQueuedCalls });
    const figures = await overload(url, factor);
    expect(figures.goodput).toBeGreaterThanOrEqual(0.9 * capacity);
    expect(figures.refusedP99).toBeLessThanOrEqual(50);
    expect(figures.answeredP99).toBeLessThanOrEqual(longestWaitMs);
    expect(queue.queue).toMatchObject({ waitingCalls: 0, openCalls: 0, runningSlices: 0 });
    await expect.poll(() => admission.stats).toMatchObject({ heldBytes: 0, unfinishedBodies: 0 });
  });
});

test('short requests go on while one of 1,000 documents runs', async () => {
  const { url } = await open();
  const long = fetch(`${url}/v1/rerank`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(bodyOf(1000)),
  });
  const startedAt = performance.now();
  const watched = long.then(async (response) => {
    await response.json();
    return { status: response.status, ms: performance.now() - startedAt };
  });
  const results = await runLoad({ url, body: bodyOf(1), perSecond: 8, seconds: 3 });
  const { status, ms } = await watched;
  const figures = { shortP99: percentile(results, 0.99), longMs: ms };
  showFigures(figures);
  expect(withStatus(results, 200).length).toBe(24);
  expect(status).toBe(200);
  // Two slices at the engine, a turn of the long one, and its own: 160 ms, more when a short one is in front. Behind the long one
  // they would wait for up to 4 s.
  expect(figures.shortP99).toBeLessThanOrEqual(10 * serviceMs);
  // 100 slices of its own; all short ones together take 27 more.
  expect(ms).toBeGreaterThan(100 * serviceMs);
  expect(ms).toBeLessThan(150 * serviceMs);
});

test('a deadline ends a request in time under overload', async () => {
  const { queue } = await open();
  const deadlineMs = 500;
  const pairs = Array.from({ length: 10 }, () => ({
    ids: new Int32Array(tokensOfDocument),
    truncatedTokens: 0,
  }));
  const startedAt = performance.now();
  const ends = await Promise.all(
    Array.from({ length: 100 }, () =>
      queue.score(pairs, undefined, { deadlineMs }).then(
        () => 'answered',
        (error: { code: string }) => error.code,
      ),
    ),
  );
  expect(performance.now() - startedAt).toBeLessThanOrEqual(deadlineMs + 50);
  const answered = ends.filter((end) => end === 'answered').length;
  expect(ends.filter((end) => end === 'deadline-exceeded').length).toBe(100 - answered);
  expect(answered).toBeGreaterThanOrEqual(0.8 * (deadlineMs / serviceMs));
});
