import express from 'express';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { HttpRefusal } from '../../src/server/error-answer.ts';
import { ServerMetrics } from '../../src/server/metrics.ts';
import { takeNotes, type RequestSummary } from '../../src/server/request-notes.ts';
import { routeFinder } from '../../src/server/find-route.ts';
import type { Route } from '../../src/server/routes.ts';
import { localsOf, type RequestLocals } from '../../src/server/request-locals.ts';
import { get, post } from './dialects.ts';
import { createFakeReranker, listen, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker({ model: 'a/model' });
const observe = () => undefined;
const seen: { path: string; locals: RequestLocals }[] = [];
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker, {
    before: [
      (request, response, next) => {
        const locals = localsOf(response);
        locals.observe = observe;
        locals.requestId = 'the-id';
        seen.push({ path: request.path, locals });
        if (request.headers['x-refuse'] !== undefined) throw new HttpRefusal(401, 'who are you?');
        next();
      },
    ],
  });
});
afterAll(() => app.close());
beforeEach(() => {
  seen.length = 0;
  reranker.calls.length = 0;
});

const documents = ['1 a', 'x'.repeat(600)];

test.each([
  ['/rerank', '/rerank', undefined],
  ['/cohere/v2/rerank', '/v2/rerank', 'cohere'],
])('what stands before routes sees the route of %s, and that the model works for it', async (path, route, dialect) => {
  const { body } = await post(app.url + path, { query: 'q', documents, top_n: 1 });
  expect(body.id).toBe('the-id');
  expect(seen).toEqual([{ path: route, locals: expect.objectContaining({ route, scoring: true }) }]);
  expect(seen[0]!.locals.dialect).toBe(dialect);
  expect(reranker.calls[0]!.options.observe).toBe(observe);
});

test('scores count too', async () => {
  await post(`${app.url}/score`, { text_1: 'q', text_2: documents });
  expect(seen[0]!.locals).toMatchObject({ route: '/score', scoring: true });
  expect(reranker.calls[0]!.options.observe).toBe(observe);
});

test('a route has the same name under every method and id; what is none has no name', async () => {
  await get(`${app.url}/v1/models/a/model`);
  await post(`${app.url}/jina/v1/models/x`, {});
  await get(`${app.url}/nowhere`);
  await get(`${app.url}/jina/`);
  expect(seen.map(({ locals }) => locals.route)).toEqual(['/v1/models/*id', '/v1/models/*id', undefined, undefined]);
  expect(seen.some(({ locals }) => locals.scoring)).toBe(false);
});

test.each<[string, unknown]>([
  ['/v1/rerank', { object: 'error', message: 'who are you?', type: 'Unauthorized', param: null, code: 401 }],
  ['/vllm/rerank', { error: { message: 'who are you?', type: 'Unauthorized', param: null, code: 401 } }],
  ['/cohere/v2/rerank', { id: 'the-id', message: 'who are you?' }],
  ['/voyage/rerank', { detail: 'who are you?' }],
  ['/RERANK/', expect.objectContaining({ message: 'who are you?', detail: 'who are you?', id: 'the-id' })],
  ['/tei/rerank', undefined],
])('a refusal before the routes of %s is in its format', async (path, body) => {
  const response = await fetch(app.url + path, { method: 'POST', headers: { 'x-refuse': '1' } });
  const text = await response.text();
  expect([response.status, text === '' ? undefined : JSON.parse(text)]).toEqual([401, body]);
});

test('what is refused before the routes counts under its route', async () => {
  const metrics = new ServerMetrics({ models: () => [], version: '0' });
  const ended: RequestSummary[] = [];
  const listener = { end: (summary: RequestSummary) => void ended.push(summary) };
  const guarded = await startApp(reranker, {
    before: [takeNotes(metrics, listener), ...guardAccess({ host: '127.0.0.1', keys: new ApiKeys(['k']) })],
  });
  const paths = [
    '/v1/rerank',
    '/Cohere/rerank',
    '/cohere/V2/Rerank/',
    '/score',
    '/v1/models/a/b',
    '/docs/x/y',
    '/',
    '/tei',
  ];
  for (const path of paths) expect((await post(guarded.url + path, {})).status).toBe(401);
  await expect.poll(() => ended.length).toBe(paths.length);
  expect(ended.map(({ notes }) => [notes.route, notes.scoring])).toEqual([
    ['/v1/rerank', true],
    [undefined, false],
    ['/v2/rerank', true],
    ['/score', true],
    ['/v1/models/*id', false],
    [undefined, false],
    [undefined, false],
    ['/', false],
  ]);
  const text = await metrics.render();
  expect(text).toContain('te_request_failure{err="unauthorized"} 3\n');
  expect(text).toContain('te_request_count{method="batch"} 3\n');
  expect(text).toContain('wgrank_http_requests_total{method="POST",route="/v2/rerank",status="401"} 1\n');
  expect(text).toContain('wgrank_http_requests_total{method="POST",route="none",status="401"} 3\n');
  metrics.close();
  await guarded.close();
});

test('a path leads to the route that Express takes', async () => {
  const paths = ['/v1/models', '/v1/models/*id', '/docs', '/docs/:file', '/openapi.json', '/v1/rerank'];
  const find = routeFinder(paths.map((path) => ({ path }) as Route));
  const app = express();
  for (const path of paths) app.all(path, (_request, response) => void response.json(path));
  app.use((_request, response) => void response.json(null));
  const running = await listen(app);
  const asked = `/v1/models /V1/Models/ /v1/models// /v1/models/a /v1/models/a/b/ /v1/models/a%2fb /v1/modelsx /v1/model
    /docs /docs/ /docs/x /docs/x/ /docs/x/y /docs/a%2eb /docsx /DOCS/X.js /openapi.json /openapixjson /openapi.json/x
    /v1/rerank /v1/rerank/ /v1/rerank// //v1/rerank /v1/rerank/x / /v1 /v1/rerank%20 /v1/%72erank`.split(/\s+/);
  for (const path of asked) {
    const { body } = await get(running.url + path);
    expect([path, find(path, undefined)?.path ?? null]).toEqual([path, body]);
  }
  await running.close();
});
