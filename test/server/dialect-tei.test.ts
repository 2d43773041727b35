import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Admission } from '../../src/server/admission.ts';
import { createApp } from '../../src/server/app.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import { takeNotes } from '../../src/server/request-notes.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { fakeInfo } from '../support/fake-engine.ts';
import { ask, get, post, probability } from './dialects.ts';
import { createFakeReranker, listen, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker({
  model: 'BAAI/bge-reranker-large',
  maxTokens: 512,
  dtype: 'f16',
  software: false,
});
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker, {
    maxDocuments: 20,
    truncate: false,
    tokenizerWorkers: 3,
    admission: new Admission({ maxHeldBytes: 2 ** 26, maxRequests: 512 }),
  });
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
});

const query = 'q';
const texts = ['-1 a', '2 b', '0 c'];
const places = ['/rerank', '/tei/rerank', '/v2/rerank', '/tei/v1/rerank'];

describe.each(places)('%s', (path) => {
  test('a bare array, best first, probabilities', async () => {
    expect(await ask(app.url + path, { query, texts })).toEqual([
      { index: 1, score: probability(2) },
      { index: 2, score: probability(0) },
      { index: 0, score: probability(-1) },
    ]);
  });

  test('raw_scores and return_text', async () => {
    expect(await ask(app.url + path, { query, texts, raw_scores: true, return_text: true })).toEqual([
      { index: 1, score: 2, text: '2 b' },
      { index: 2, score: 0, text: '0 c' },
      { index: 0, score: -1, text: '-1 a' },
    ]);
  });

  test('ties come in reverse request order', async () => {
    const answer = await ask(app.url + path, { query, texts: ['1 a', '2 b', '1 c', '2 d', '1 e'] });
    expect(answer.map((one: { index: number }) => one.index)).toEqual([3, 1, 4, 2, 0]);
  });

  test.each<[object, object]>([
    [{}, {}],
    [{ truncate: null }, {}],
    [{ truncate: true, truncation_direction: 'Right' }, { truncate: true }],
    [{ truncate: false, truncation_direction: 'right' }, { truncate: false }],
    [{ truncate: 'true' }, { truncate: true }],
  ])('%j reaches the model as %j', async (sent, options) => {
    await ask(app.url + path, { query, texts, ...sent });
    const { signal: _, request: __, ...reached } = reranker.calls[0]!.options;
    expect(reached).toEqual(options);
  });

  test.each<[object, number, string, string]>([
    [{ query, texts: [] }, 400, 'Empty', '`texts` cannot be empty'],
    [{ query, texts: Array(21).fill('a') }, 422, 'Validation', 'batch size 21 > maximum allowed batch size 20'],
    [{ texts }, 422, 'Validation', '1 validation error: body.query: Field required'],
    [
      { query, texts: ['a', 5] },
      422,
      'Validation',
      '1 validation error: body.texts[1]: Input should be a valid string',
    ],
    [
      { query, texts, raw_scores: 'x' },
      422,
      'Validation',
      '1 validation error: body.raw_scores: Input should be a valid boolean',
    ],
    [
      { query, texts, truncation_direction: 'Left' },
      422,
      'Validation',
      '`truncation_direction` Left is not supported: texts are cut at their end',
    ],
    [{ query, texts: ['\0'] }, 422, 'Validation', 'texts[0] contains a NUL character (U+0000), which is not text'],
    [{ query: 'throw:input-too-long', texts }, 422, 'Validation', '[fake] details of /secret/path'],
    [{ query: 'throw:overloaded', texts }, 429, 'Overloaded', '[fake] details of /secret/path'],
    [{ query: 'throw:device-lost', texts }, 503, 'Unhealthy', 'the GPU device was lost while work was pending'],
    [{ query: 'throw', texts }, 424, 'Backend', 'Internal server error: unexpected failure'],
    [{ query: 'nan', texts }, 424, 'Backend', 'Internal server error: a score came out as NaN or infinite'],
  ])('%j is refused with %i %s', async (sent, status, error_type, error) => {
    const answer = await post(app.url + path, sent);
    expect([answer.status, answer.body]).toEqual([status, { error, error_type }]);
    expect(answer.headers.get('retry-after')).toBe(status === 429 || status === 503 ? '2' : null);
  });

  test('headers say what it took', async () => {
    const { headers } = await post(app.url + path, { query, texts });
    expect(headers.get('x-compute-type')).toBe('gpu+optimized');
    expect(headers.get('x-compute-characters')).toBe('13');
    expect(headers.get('x-compute-tokens')).toBe('13');
    for (const name of ['x-compute-time', 'x-total-time']) expect(headers.get(name)).toMatch(/^\d+$/);
    // Nobody measures here.
    for (const name of ['x-tokenization-time', 'x-queue-time', 'x-inference-time'])
      expect(headers.get(name)).toBeNull();
  });
});

test('where a request’s time went is told in milliseconds', async () => {
  const slow = createReranker({
    encoder: {
      encode: async (_query, documents) => {
        await sleep(30);
        return documents.map(() => ({ ids: new Int32Array(3), truncatedTokens: 0 }));
      },
      close: async () => undefined,
    },
    engine: {
      info: fakeInfo,
      score: async (pairs, _signal, options) => {
        await sleep(80);
        options?.observe?.({ queuedMs: 20 });
        return new Float32Array(pairs.length);
      },
      stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
      close: async () => undefined,
    },
  });
  const measured = await listen(createApp(slow, { before: [takeNotes()] }));
  const { headers } = await post(`${measured.url}/tei/rerank`, { query, texts });
  const ms = (name: string) => Number(headers.get(name) ?? Number.NaN);
  expect(headers.get('x-queue-time')).toBe('20');
  expect(headers.get('x-tokenization-time')).toMatch(/^\d+$/);
  expect(headers.get('x-inference-time')).toMatch(/^\d+$/);
  expect(ms('x-tokenization-time')).toBeGreaterThanOrEqual(29);
  expect(ms('x-inference-time')).toBeGreaterThanOrEqual(59);
  const sum = ms('x-tokenization-time') + ms('x-queue-time') + ms('x-inference-time');
  // Four figures, each rounded by itself.
  expect(sum).toBeLessThanOrEqual(ms('x-total-time') + 2);
  await measured.close();
});

test('an empty text is a text', async () => {
  expect(await ask(`${app.url}/tei/rerank`, { query, texts: [''] })).toEqual([{ index: 0, score: 0.5 }]);
});

test('under the prefix a body without texts is refused in TEI’s words', async () => {
  const { status, body } = await post(`${app.url}/tei/rerank`, { query, documents: texts });
  expect([status, body]).toEqual([
    422,
    { error: '1 validation error: body.texts: Field required', error_type: 'Validation' },
  ]);
  expect((await post(`${app.url}/tei/rerank`, '{')).body).toMatchObject({ error_type: 'Validation' });
});

test('/info', async () => {
  for (const path of ['/info', '/tei/info']) {
    expect((await get(app.url + path)).body).toEqual({
      model_id: 'BAAI/bge-reranker-large',
      model_sha: null,
      model_dtype: 'float16',
      served_model_name: 'BAAI/bge-reranker-large',
      model_type: { reranker: { id2label: { '0': 'LABEL_0' }, label2id: { LABEL_0: 0 } } },
      max_concurrent_requests: 512,
      max_input_length: 512,
      max_batch_tokens: 16384,
      max_batch_requests: null,
      max_client_batch_size: 20,
      auto_truncate: false,
      tokenization_workers: 3,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      sha: null,
      docker_label: null,
      wgrank: {
        models: ['BAAI/bge-reranker-large'],
        kind: 'cross-encoder',
        architecture: 'FakeForSequenceClassification',
        adapter: 'no adapter (fake)',
        software_adapter: false,
        warnings: ['this engine is fake'],
      },
    });
  }
});

test('/tei, /tei/health and /tei/ping answer with nothing, and / is nobody else’s', async () => {
  for (const path of ['/tei', '/tei/', '/tei/health', '/tei/ping'])
    expect(await get(app.url + path)).toMatchObject({ status: 200, body: undefined });
  expect((await get(`${app.url}/ping`)).body).toEqual({ status: 'ready' });
  const loading = await listen(createApp(new RerankerSlot()));
  for (const path of ['/tei', '/tei/health', '/tei/ping'])
    expect((await get(loading.url + path)).body).toMatchObject({ error_type: 'Unhealthy' });
  await loading.close();
  for (const path of ['/', '/jina', '/jina/', '/vllm']) expect((await get(app.url + path)).status).toBe(404);
  expect((await post(`${app.url}/`, {})).status).toBe(404);
});
