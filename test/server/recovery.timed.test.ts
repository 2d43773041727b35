import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { spawnEngine, type EngineProcess } from '../../src/server/engine-process.ts';
import type { ModelParts } from '../../src/server/serve-model.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { createEncoder } from '../../src/text/create-encoder-node.ts';
import { tiered } from '../support/tier.ts';
import { postRerank } from './fake-reranker.ts';
import { serveOne } from './serve-one.ts';
import { watchReadiness } from './watch-readiness.ts';

/** The whole server with the embedded model, and nothing faked but the faults. */
const kills = tiered(5, 50);
const callers = 4;
/** A load balancer learns within this time that it has to go elsewhere, and that it may come back. */
const tellsWithinMs = 1000;

const fixture = new URL('../golden/fixtures/tiny-bge-reranker.json', import.meta.url);
const { pairs } = JSON.parse(readFileSync(fixture, 'utf8')) as { pairs: { query: string; document: string }[] };
const bodies = Array.from({ length: 12 }, (_, i) => ({
  query: pairs[i % pairs.length]!.query,
  documents: Array.from({ length: 1 + 3 * i }, (__, j) => pairs[(i + 5 * j) % pairs.length]!.document),
}));

const servers: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** @param mayStart asked before each process after the first one; an error fails the start */
async function start(mayStart: () => Error | undefined = () => undefined) {
  const engines: EngineProcess[] = [];
  const parts: ModelParts = {
    createEncoder,
    createReranker,
    spawnEngine: async (options, spawn) => {
      const failure = engines.length > 0 ? mayStart() : undefined;
      if (failure) throw failure;
      const engine = await spawnEngine(options, spawn);
      engines.push(engine);
      return engine;
    },
  };
  const server = await serveOne(
    {
      modelDir: new URL('../../weights/tiny-bge-reranker', import.meta.url).pathname,
      model: 'tiny-bge-reranker',
      kind: 'cross-encoder',
      architecture: 'XLMRobertaForSequenceClassification',
      maxLength: 512,
      truncate: true,
    },
    parts,
  );
  servers.push(server);
  await server.ready;
  return { server, engines };
}

const ask = async (url: string, body: object) => {
  const response = await postRerank(url, body);
  return { status: response.status, text: await response.text(), retryAfter: response.headers.get('retry-after') };
};

test(
  `${kills} kill -9 of the GPU process under load: every request is answered 200 with the same scores, and /ready tells`,
  async () => {
    const { server, engines } = await start();
    const expected: string[] = [];
    for (const body of bodies) expected.push((await ask(server.url, body)).text);
    const answered = Array<number>(callers).fill(0);
    const wrong: unknown[] = [];
    const run = { going: true };
    const load = answered.map(async (_, caller) => {
      for (let i = caller; run.going; i++) {
        const place = (7 * i + caller) % bodies.length;
        const answer = await ask(server.url, bodies[place]!).catch((error: Error) => ({
          status: 0,
          text: error.message,
        }));
        if (answer.status !== 200 || answer.text !== expected[place]) wrong.push(answer);
        answered[caller]!++;
      }
    });
    const watch = watchReadiness(server.url);
    const noticed: number[] = [];
    const told: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      const before = [...answered];
      await expect
        .poll(() => answered.every((count, i) => count > before[i]!), { interval: 5, timeout: 20_000 })
        .toBe(true);
      await sleep(((kill * 37) % 100) + 50);
      const started = engines.length;
      const struckAt = performance.now();
      process.kill(engines.at(-1)!.pid, 'SIGKILL');
      noticed.push((await watch.next(503, struckAt)) - struckAt);
      await expect.poll(() => engines.length, { interval: 1, timeout: 20_000 }).toBe(started + 1);
      const backAt = performance.now();
      told.push((await watch.next(200, backAt)) - backAt);
    }
    run.going = false;
    await Promise.all(load);
    const health = await watch.end();
    const [slowestNotice, slowestTelling] = [noticed, told].map((times) => Math.round(Math.max(...times)));
    console.log(
      `${kills} kills: ${answered.reduce((a, b) => a + b)} answers; not ready after ${slowestNotice} ms, ready ${slowestTelling} ms after the repair, at the most`,
    );
    expect(wrong).toEqual([]);
    expect(engines).toHaveLength(kills + 1);
    expect(new Set(health)).toEqual(new Set([200]));
    expect(slowestNotice).toBeLessThanOrEqual(tellsWithinMs);
    expect(slowestTelling).toBeLessThanOrEqual(tellsWithinMs);
  },
  60_000 + kills * 10_000,
);

test('an engine that is lost again and again: 503 with Retry-After and not ready, alive all the time, then answers as before', async () => {
  let gone = true;
  const { server, engines } = await start(() =>
    gone ? new WgrankError('adapter-missing', 'test', 'no adapter is there') : undefined,
  );
  const expected = (await ask(server.url, bodies[3]!)).text;
  const watch = watchReadiness(server.url);
  const struckAt = performance.now();
  process.kill(engines[0]!.pid, 'SIGKILL');
  expect((await watch.next(503, struckAt)) - struckAt).toBeLessThanOrEqual(tellsWithinMs);
  // A request that waited for the engine gets the same answer as one that comes when it is known to be gone.
  for (let i = 0; i < 2; i++) {
    const refused = await ask(server.url, bodies[3]!);
    expect(refused.status).toBe(503);
    expect(Number(refused.retryAfter)).toBeGreaterThan(0);
  }
  expect(watch.statuses().at(-1)).toBe(503);
  gone = false;
  await expect.poll(() => engines.length, { interval: 1, timeout: 20_000 }).toBe(2);
  const backAt = performance.now();
  expect((await watch.next(200, backAt)) - backAt).toBeLessThanOrEqual(tellsWithinMs);
  expect(await ask(server.url, bodies[3]!)).toMatchObject({ status: 200, text: expected });
  expect(new Set(await watch.end())).toEqual(new Set([200]));
}, 60_000);
