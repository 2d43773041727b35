import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ask, post, probability } from './dialects.ts';
import { createFakeReranker, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker({ model: 'a/model' });
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker);
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
});

const query = 'q';
const documents = ['-1 a', '2 b', '0 c'];

test.each(['/voyage/v1/rerank', '/rerank', '/v2/rerank'])('%s with top_k', async (path) => {
  const sent = { query, documents, model: 'rerank-2.5', top_k: 2, return_documents: true, truncation: true };
  expect(await ask(app.url + path, sent)).toEqual({
    object: 'list',
    data: [
      { index: 1, relevance_score: probability(2), document: '2 b' },
      { index: 2, relevance_score: probability(0), document: '0 c' },
    ],
    model: 'a/model',
    usage: { total_tokens: 13 },
  });
  expect(reranker.calls[0]!.options.truncate).toBe(true);
  const terse = await ask(app.url + path, { query, documents, top_k: 1 });
  expect(terse.data).toEqual([{ index: 1, relevance_score: probability(2) }]);
});

test('truncation false is for the model to refuse, and its refusal a detail', async () => {
  await ask(`${app.url}/voyage/v1/rerank`, { query, documents, truncation: false });
  expect(reranker.calls[0]!.options.truncate).toBe(false);
  const refused = await post(`${app.url}/voyage/v1/rerank`, { query: 'throw:input-too-long', documents });
  expect([refused.status, refused.body]).toEqual([400, { detail: '[fake] details of /secret/path' }]);
});

test('every refusal under the prefix is a detail that is a text', async () => {
  const { url } = app;
  const refusals = [
    await post(`${url}/voyage/v1/rerank`, { query }),
    await post(`${url}/voyage/v1/rerank`, '{'),
    await post(`${url}/voyage/v1/nope`, {}),
    await post(`${url}/voyage/v1/rerank`, {}, 'DELETE'),
  ];
  expect(refusals.map(({ status }) => status)).toEqual([400, 400, 404, 405]);
  for (const { body } of refusals) expect(body).toEqual({ detail: expect.any(String) });
});
