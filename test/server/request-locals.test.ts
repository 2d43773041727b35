import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { HttpRefusal } from '../../src/server/error-answer.ts';
import { localsOf, type RequestLocals } from '../../src/server/request-locals.ts';
import { get, post } from './dialects.ts';
import { createFakeReranker, startApp, type RunningApp } from './fake-reranker.ts';

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
