import { createRequire } from 'node:module';
import { createCohere } from '@ai-sdk/cohere';
import { createTogetherAI } from '@ai-sdk/togetherai';
import { createVoyage } from '@ai-sdk/voyage';
import { CohereRerank } from '@langchain/cohere';
import { rerank, type RerankingModel } from 'ai';
import { CohereClient, CohereClientV2, CohereError } from 'cohere-ai';
import OpenAI, { NotFoundError } from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { VoyageAIClient, VoyageAIError } from 'voyageai';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { createApp } from '../../src/server/app.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import { createFakeReranker, listen, startApp, type RunningApp } from './fake-reranker.ts';

// The published clients, nothing changed but their base URL and key.
const reranker = createFakeReranker({ model: 'BAAI/bge-reranker-v2-m3' });
const token = 'a key';
const seen: { url: string; authorization: string | undefined }[] = [];
let app: RunningApp;
beforeAll(async () => {
  globalThis.AI_SDK_LOG_WARNINGS = false;
  app = await startApp(reranker, {
    before: [
      (request, _response, next) => {
        seen.push({ url: request.originalUrl, authorization: request.headers.authorization });
        next();
      },
    ],
  });
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
  seen.length = 0;
});

const query = 'What is a panda?';
const documents = ['-2 a cat', '3 a bear of China', '0.5 a car'];
/** Probabilities of the logits above, best first. */
const ranking = [
  { index: 1, score: 1 / (1 + Math.exp(-3)) },
  { index: 2, score: 1 / (1 + Math.exp(-0.5)) },
];
const tokens = documents.reduce((sum, document) => sum + document.length + query.length, 0);

describe('cohere-ai', () => {
  const bodies = { query, documents, topN: 2, model: 'rerank-v3.5' };
  const found = ranking.map(({ index, score }) => ({ index, relevanceScore: score }));

  test.each(['', '/cohere'])('version 2 at %j', async (prefix) => {
    const client = new CohereClientV2({ token, environment: app.url + prefix });
    const answer = await client.rerank({ ...bodies, maxTokensPerDoc: 100 });
    // Without the prefix it carries what other clients read, too.
    expect(answer.results).toMatchObject(found);
    expect(answer.id).toMatch(/^[\da-f-]{36}$/);
    expect(answer.meta).toMatchObject({
      billedUnits: { searchUnits: 1 },
      tokens: { inputTokens: tokens, outputTokens: 0 },
    });
    expect(seen).toEqual([{ url: `${prefix}/v2/rerank`, authorization: `Bearer ${token}` }]);
    expect(reranker.calls[0]!.options.maxDocumentTokens).toBe(100);
  });

  test('version 1 under /cohere, with objects, fields and documents', async () => {
    const client = new CohereClient({ token, environment: `${app.url}/cohere` });
    const sent = documents.map((text, i) => ({ text, title: `title ${i}` }));
    const answer = await client.rerank({ ...bodies, documents: sent, returnDocuments: true });
    expect(answer.results).toEqual(found.map((one) => ({ ...one, document: sent[one.index] })));
    expect(reranker.calls[0]!.documents).toEqual(documents);
    await client.rerank({ ...bodies, documents: sent, rankFields: ['title', 'text'] });
    expect(reranker.calls[1]!.documents[0]).toBe('{"title":"title 0","text":"-2 a cat"}');
  });

  test('a refusal is its typed error, at the first attempt; an overload is repeated', async () => {
    const client = new CohereClientV2({ token, environment: `${app.url}/cohere` });
    const refused = client.rerank({ ...bodies, query: 'throw:input-too-long' });
    await expect(refused).rejects.toBeInstanceOf(CohereError);
    await expect(refused).rejects.toMatchObject({
      statusCode: 400,
      body: { message: '[fake] details of /secret/path' },
    });
    expect(reranker.calls).toHaveLength(1);
    await expect(client.rerank({ ...bodies, query: 'throw:overloaded' }, { maxRetries: 1 })).rejects.toMatchObject({
      statusCode: 429,
    });
    expect(reranker.calls).toHaveLength(3);
  });
});

describe('ai', () => {
  const providers: [string, string, (baseURL: string) => RerankingModel][] = [
    ['@ai-sdk/cohere', '/v2', (baseURL) => createCohere({ baseURL, apiKey: token }).reranking('rerank-v3.5')],
    ['@ai-sdk/cohere', '/cohere/v2', (baseURL) => createCohere({ baseURL, apiKey: token }).reranking('rerank-v3.5')],
    [
      '@ai-sdk/togetherai',
      '/jina/v1',
      (baseURL) => createTogetherAI({ baseURL, apiKey: token }).reranking('any/model'),
    ],
    ['@ai-sdk/togetherai', '/v2', (baseURL) => createTogetherAI({ baseURL, apiKey: token }).reranking('any/model')],
    ['@ai-sdk/voyage', '/voyage/v1', (baseURL) => createVoyage({ baseURL, apiKey: token }).reranking('rerank-2.5')],
    ['@ai-sdk/voyage', '/v2', (baseURL) => createVoyage({ baseURL, apiKey: token }).reranking('rerank-2.5')],
  ];

  test.each(providers)('%s at %s', async (_, path, create) => {
    const model = create(app.url + path);
    const answer = await rerank({ model, query, documents, topN: 2 });
    expect(answer.ranking).toEqual(
      ranking.map(({ index, score }) => ({ originalIndex: index, score, document: documents[index] })),
    );
    expect(seen).toEqual([{ url: `${path}/rerank`, authorization: `Bearer ${token}` }]);
    // Objects are sent as they are by Together's, as JSON by the others.
    const objects = documents.map((text, id) => ({ id, text: `{${text}` }));
    const ranked = await rerank({ model, query, documents: objects });
    expect(ranked.ranking.map(({ originalIndex }) => originalIndex)).toEqual([0, 1, 2]);
  });

  test.each(providers)('%s at %s: a refusal has its text and one attempt', async (_, path, create) => {
    const refused = rerank({ model: create(app.url + path), query: 'throw:input-too-long', documents });
    await expect(refused).rejects.toMatchObject({
      name: 'AI_APICallError',
      statusCode: 400,
      message: '[fake] details of /secret/path',
      isRetryable: false,
    });
    expect(reranker.calls).toHaveLength(1);
  });
});

describe('voyageai', () => {
  test('under /voyage/v1', async () => {
    const client = new VoyageAIClient({ apiKey: token, environment: `${app.url}/voyage/v1` });
    const answer = await client.rerank({
      query,
      documents,
      model: 'rerank-2.5',
      topK: 2,
      returnDocuments: true,
      truncation: true,
    });
    expect(answer.data).toEqual(
      ranking.map(({ index, score }) => ({ index, relevanceScore: score, document: documents[index] })),
    );
    expect(answer.usage).toEqual({ totalTokens: tokens });
    expect(reranker.calls[0]!.options.truncate).toBe(true);
    const refused = client.rerank({ query: 'throw:input-too-long', documents, model: 'm' });
    await expect(refused).rejects.toBeInstanceOf(VoyageAIError);
    await expect(refused).rejects.toMatchObject({
      statusCode: 400,
      body: { detail: '[fake] details of /secret/path' },
    });
  });
});

test('@langchain/cohere, which sends max_chunks_per_doc: null through an older cohere-ai of its own', async () => {
  const bundled = createRequire(createRequire(import.meta.url).resolve('@langchain/cohere'))('cohere-ai');
  expect(bundled.CohereClient).not.toBe(CohereClient);
  const client = new bundled.CohereClient({ token, environment: `${app.url}/cohere` });
  const compressor = new CohereRerank({ client, model: 'rerank-v3.5', topN: 2 });
  const found = await compressor.rerank(documents, query);
  expect(found).toEqual(ranking.map(({ index, score }) => ({ index, relevanceScore: score })));
});

describe('openai', () => {
  test.each(['/v1', '/vllm/v1', '/jina/v1'])('models at %s', async (path) => {
    const client = new OpenAI({ apiKey: token, baseURL: app.url + path });
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['BAAI/bge-reranker-v2-m3']);
    expect(await client.models.retrieve('BAAI/bge-reranker-v2-m3')).toMatchObject({ object: 'model' });
    const missing = client.models.retrieve('gpt-5');
    await expect(missing).rejects.toBeInstanceOf(NotFoundError);
    await expect(missing).rejects.toMatchObject({ message: '404 The model does not exist' });
  });

  test('models that load, and a key that is wrong, are said in words', async () => {
    const loading = await listen(createApp(new RerankerSlot()));
    const early = new OpenAI({ apiKey: token, baseURL: `${loading.url}/v1`, maxRetries: 0 });
    for (const asked of [early.models.list(), early.models.retrieve('a/model')])
      await expect(asked).rejects.toMatchObject({
        status: 503,
        message: '503 The model is still loading. Please retry later.',
      });
    await loading.close();
    const access = { host: '127.0.0.1', keys: new ApiKeys(['another']) };
    const guarded = await startApp(reranker, { before: guardAccess(access) });
    const stranger = new OpenAI({ apiKey: token, baseURL: `${guarded.url}/v1` });
    for (const asked of [stranger.models.list(), stranger.models.retrieve('a/model')])
      await expect(asked).rejects.toMatchObject({
        status: 401,
        message: expect.stringMatching(/^401 A valid API key/),
      });
    await guarded.close();
  });

  test('post', async () => {
    const client = new OpenAI({ apiKey: token, baseURL: `${app.url}/jina/v1` });
    const answer = await client.post('/rerank', { body: { query, documents, top_n: 1 } });
    expect(answer).toMatchObject({ results: [{ index: 1, document: { text: documents[1] } }] });
    await expect(client.post('/rerank', { body: { query, documents: [] } })).rejects.toMatchObject({
      status: 400,
      message: '400 Documents cannot be empty',
    });
  });
});
