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
  expect(await response.json()).toEqual({ object: 'error', message, type: '503', param: null, code: 503 });
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

test('ready once the slot is filled, not ready once it is emptied, and ready again with the next model', async () => {
  slot.fill(createFakeReranker());
  const ready = await get('/ready');
  expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
  expect((await fetch(`${app.url}/ready`, { method: 'HEAD' })).status).toBe(200);
  expect((await ask()).status).toBe(200);
  slot.empty('failed');
  await expectUnavailable(await get('/ready'), 'The engine has stopped: the server has to be restarted.', false);
  await expectUnavailable(await ask(), 'The engine has stopped: the server has to be restarted.', false);
  expect((await get('/health')).status).toBe(200);
  slot.fill(createFakeReranker());
  expect((await get('/ready')).status).toBe(200);
});

test('stopping is final: a model that finishes loading late does not reopen the door', async () => {
  slot.empty('stopping');
  slot.fill(createFakeReranker());
  slot.empty('failed');
  expect(slot.readiness).toBe('stopping');
  await expectUnavailable(await ask(), 'The server is shutting down.');
});
