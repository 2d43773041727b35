import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApp } from '../../src/server/app.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import { createFakeReranker, listen, postRerank, type RunningApp } from './fake-reranker.ts';

let slot: RerankerSlot;
let app: RunningApp;
beforeEach(async () => {
  slot = new RerankerSlot();
  app = await listen(createApp(slot));
});
afterEach(() => app.close());

/** @param retry whether it makes sense to come back */
async function expectUnavailable(response: Response, message: string, retry = true): Promise<void> {
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBe(retry ? '2' : null);
  expect(response.headers.get('retry-after-ms')).toBe(retry ? '2000' : null);
  const failure = { message, type: '503', param: null, code: 503 };
  // OpenAI's clients ask for models, and look inside `error`.
  const inside = response.url.includes('/v1/models') && { error: failure };
  expect(await response.json()).toEqual({ object: 'error', ...failure, ...inside });
}

const ask = () => postRerank(app.url, { query: 'q', documents: ['a'] });
const get = (path: string) => fetch(`${app.url}${path}`);
const loading = 'The model is still loading. Please retry later.';

describe('while the model loads', () => {
  test('the process is alive but not ready', async () => {
    const health = await get('/health');
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
    await expectUnavailable(await get('/ready'), loading);
  });

  test.each(['/v1/models', '/v1/models/x', '/get_model_info'])('%s waits for the model', async (path) => {
    await expectUnavailable(await get(path), loading);
  });

  test('a rerank request is refused before its body is looked at', async () => {
    await expectUnavailable(await ask(), loading);
    await expectUnavailable(await postRerank(app.url, '{'), loading);
  });
});

test('ready once the slot is filled', async () => {
  slot.fill(createFakeReranker());
  const ready = await get('/ready');
  expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
  expect((await fetch(`${app.url}/ready`, { method: 'HEAD' })).status).toBe(200);
  expect((await ask()).status).toBe(200);
});

test('while the engine is started again: not ready, but requests wait for it; lost again and again: 503', async () => {
  slot.fill(createFakeReranker());
  slot.mark('restarting');
  await expectUnavailable(await get('/ready'), 'The engine is being started again. Please retry later.');
  expect((await ask()).status).toBe(200);
  slot.mark('broken');
  const broken = 'The engine was lost several times and is being started again. Please retry later.';
  await expectUnavailable(await get('/ready'), broken);
  await expectUnavailable(await ask(), broken);
  expect((await get('/health')).status).toBe(200);
  expect((await get('/v1/models')).status).toBe(200);
  slot.mark('ready');
  expect((await get('/ready')).status).toBe(200);
  expect((await ask()).status).toBe(200);
});

test('a model that could not be loaded is nothing to wait for', async () => {
  slot.fail();
  slot.mark('ready');
  const message = 'The model could not be loaded: the server has to be restarted.';
  await expectUnavailable(await get('/ready'), message, false);
  await expectUnavailable(await ask(), message, false);
  expect((await get('/health')).status).toBe(200);
});

test('stopping is final: not ready, but what still comes is answered; a model that loads late does not reopen the door', async () => {
  const stopping = 'The server is shutting down.';
  slot.fill(createFakeReranker());
  slot.stop();
  slot.mark('ready');
  slot.fail();
  expect(slot.readiness).toBe('stopping');
  await expectUnavailable(await get('/ready'), stopping);
  expect((await ask()).status).toBe(200);
  const late = new RerankerSlot();
  late.stop();
  late.fill(createFakeReranker());
  expect(() => late.take()).toThrow(stopping);
});
