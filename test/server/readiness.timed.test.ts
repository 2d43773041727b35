import { afterEach, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { createApp } from '../../src/server/app.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import type { ModelParts } from '../../src/server/serve-model.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { orders } from './fake-engine-process.ts';
import { createFakeParts } from './fake-parts.ts';
import { listen, postRerank } from './fake-reranker.ts';
import { serveOne, type ServeOneOptions } from './serve-one.ts';
import { start as supervise } from './supervise-fakes.ts';
import { watchReadiness } from './watch-readiness.ts';

/**
 * `/ready` says whether the model answers; `/health` whether the process does, which a restart of it would not mend. What drains is in
 * drain.timed.test.ts, an engine that is killed or cannot be started any more in recovery.timed.test.ts, with the embedded model.
 */
const tellsWithinMs = 1000;

const servers: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options: Partial<ServeOneOptions> = {}, parts: ModelParts = createFakeParts()) {
  const plain = { modelDir: 'fake', model: 'fake', kind: 'cross-encoder', maxLength: 512, truncate: true } as const;
  const server = await serveOne({ ...plain, architecture: 'FakeForSequenceClassification', ...options }, parts);
  servers.push(server);
  server.ready.catch(() => undefined);
  return server;
}

const ask = (url: string, ...documents: string[]) => postRerank(url, { query: 'q', documents });
const onlyAlive = (health: readonly number[]) => expect(new Set(health)).toEqual(new Set([200]));

test('a model that loads: alive, not ready', async () => {
  const { url } = await start({ model: 'load-hang' });
  const watch = watchReadiness(url);
  await watch.next(503, performance.now() + 300);
  onlyAlive(await watch.end());
});

test('a model that is loaded: ready at once', async () => {
  const server = await start();
  const watch = watchReadiness(server.url);
  await server.ready;
  const loadedAt = performance.now();
  expect((await watch.next(200, loadedAt)) - loadedAt).toBeLessThanOrEqual(tellsWithinMs);
  onlyAlive(await watch.end());
});

test('a model that cannot be loaded: alive, not ready', async () => {
  const server = await start({ model: 'fail:checkpoint-invalid' });
  await server.ready.catch(() => undefined);
  const watch = watchReadiness(server.url);
  await watch.next(503, performance.now());
  onlyAlive(await watch.end());
});

test.each([
  ['a device that is lost', 'dead'],
  ['a process that ends', 'exit'],
])(
  `%s: not ready within ${tellsWithinMs} ms, ready as soon after its repair, alive all the time`,
  async (_, trouble) => {
    const parts = createFakeParts();
    const loadedAt: number[] = [];
    const { spawnEngine } = parts;
    parts.spawnEngine = async (...rest) => {
      const engine = await spawnEngine(...rest);
      loadedAt.push(performance.now());
      return engine;
    };
    const server = await start({}, parts);
    await server.ready;
    const watch = watchReadiness(server.url);
    const struckAt = performance.now();
    // The call takes every process down that gets it, and three do.
    expect((await ask(server.url, trouble)).status).toBeGreaterThanOrEqual(500);
    expect((await watch.next(503, struckAt)) - struckAt).toBeLessThanOrEqual(tellsWithinMs);
    await expect.poll(() => loadedAt.length, { interval: 1, timeout: 20_000 }).toBe(4);
    expect((await watch.next(200, loadedAt[3]!)) - loadedAt[3]!).toBeLessThanOrEqual(tellsWithinMs);
    expect((await ask(server.url, 'a')).status).toBe(200);
    onlyAlive(await watch.end());
  },
);

const encode = async (_query: unknown, documents: readonly unknown[]) =>
  documents.map((text) => ({ ids: Int32Array.of(Number(text)), truncatedTokens: 0 }));

/** A server over an engine whose processes are objects, so that they can be made to hang. */
async function superviseInServer(setup: Parameters<typeof supervise>[0]) {
  const slot = new RerankerSlot();
  const supervised = await supervise({
    onStateChange: (state) => {
      if (state !== 'stopped') slot.mark(state);
    },
    ...setup,
  });
  const { engine } = supervised;
  slot.fill(createReranker({ engine, encoder: { encode, close: async () => undefined } }));
  const app = await listen(createApp(slot));
  return { ...supervised, app };
}

test('a GPU that hangs: not ready from the moment that it is known for it, and ready once it is replaced', async () => {
  const hangMs = 400;
  // Replacing it takes a while, as it does for a model of any size.
  const { app, started } = await superviseInServer({
    hangMs,
    processes: (n) => ({ serviceMs: 5, proofMs: n === 0 ? 1 : 300 }),
  });
  const watch = watchReadiness(app.url);
  await watch.next(200, 0);
  expect((await ask(app.url, '5')).status).toBe(200);
  const struckAt = performance.now();
  const jam = ask(app.url, String(orders.jam));
  const neighbour = ask(app.url, '6');
  expect((await watch.next(503, struckAt)) - struckAt).toBeLessThanOrEqual(hangMs + tellsWithinMs);
  expect((await neighbour).status).toBe(200);
  const repairedAt = performance.now();
  expect((await jam).status).toBeGreaterThanOrEqual(500);
  await watch.next(200, repairedAt);
  expect(started.length).toBeGreaterThan(1);
  onlyAlive(await watch.end());
  await app.close();
});

test('an engine that is not let go: not ready and 503 while it is broken, ready within a second of its repair', async () => {
  let gone = true;
  let backAt = 0;
  const { app, started } = await superviseInServer({
    processes: (n) => {
      if (n > 0 && gone) return new WgrankError('adapter-missing', 'fake', 'no adapter');
      if (n > 0) backAt = performance.now();
      return {};
    },
  });
  const watch = watchReadiness(app.url);
  const struckAt = performance.now();
  started[0]!.die('SIGKILL');
  expect((await watch.next(503, struckAt)) - struckAt).toBeLessThanOrEqual(tellsWithinMs);
  const refused = await ask(app.url, '7');
  expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([503, true]);
  gone = false;
  await expect.poll(() => backAt, { interval: 1 }).toBeGreaterThan(0);
  expect((await watch.next(200, backAt)) - backAt).toBeLessThanOrEqual(tellsWithinMs);
  expect((await ask(app.url, '7')).status).toBe(200);
  onlyAlive(await watch.end());
  await app.close();
});

test('a full queue: 429, and ready all the time, as the model answers', async () => {
  const server = await start({ maxQueueRequests: 1, maxBatchTokens: 1 });
  await server.ready;
  const watch = watchReadiness(server.url);
  await watch.next(200, 0);
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(server.url, 'slow', 'slow')));
  const statuses = answers.map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(watch.statuses()).not.toContain(503);
  onlyAlive(await watch.end());
});
