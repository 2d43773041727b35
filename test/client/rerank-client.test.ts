import express from 'express';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RerankApiError, RerankClient, toDataUri, type Content, type RerankRequest } from '../../src/client/index.ts';
import type { Content as ContentOfServer } from '../../src/rerank/reranker.ts';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { createApp } from '../../src/server/app.ts';
import { ModelDirectory } from '../../src/server/model-directory.ts';
import { takeNotes } from '../../src/server/request-notes.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import { anId, probability } from '../server/dialects.ts';
import { createFakeReranker, listen, startApp, type RunningApp } from '../server/fake-reranker.ts';

const reranker = createFakeReranker({ model: 'BAAI/bge-reranker-v2-m3' });
const running: RunningApp[] = [];
const open = async (app: Promise<RunningApp>): Promise<RunningApp> => {
  running.push(await app);
  return app;
};

let client: RerankClient;
beforeEach(async () => {
  reranker.calls.length = 0;
  reranker.aborts = 0;
  const { url } = await open(startApp(reranker, { before: [takeNotes()] }));
  client = new RerankClient({ baseUrl: url });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
});

const query = 'q';
const documents = ['-1 a', '2 b', '0 c'];

// The client's types are its own, so that it needs nothing of the product: the compiler holds them against the server's.
const toServer = (content: Content): ContentOfServer => content;
const toClient = (content: ContentOfServer): Content => content;

test('what the client takes is what the server takes', () => {
  expect(toClient(toServer('a'))).toBe('a');
});

describe('rerank', () => {
  test('gives the answer, best first', async () => {
    expect(await client.rerank({ query, documents })).toEqual({
      id: anId,
      model: 'BAAI/bge-reranker-v2-m3',
      results: [2, 0, -1].map((logit) => {
        const index = documents.findIndex((text) => text.startsWith(`${logit} `));
        return expect.objectContaining({ index, score: probability(logit) });
      }),
      usage: { promptTokens: 13, totalTokens: 13 },
      warnings: [],
    });
  });

  test('keeps the best, puts documents beside them, and gives logits when asked to', async () => {
    const { results } = await client.rerank({ query, documents, topN: 2, returnDocuments: true, rawScores: true });
    expect(results).toMatchObject([
      { index: 1, score: 2, document: documents[1] },
      { index: 2, score: 0, document: documents[2] },
    ]);
    const all = await client.rerank({ query, documents, topN: 50 });
    expect(all.results).toHaveLength(3);
    expect(all.results[0]).not.toHaveProperty('document');
  });

  const every = { instruct: 0, truncate: 0, maxDocumentTokens: 0, maxQueryTokens: 0, maxPairTokens: 0 };
  test.each<[Partial<RerankRequest>, object]>([
    [{ instruct: 'judge' }, { instruct: 'judge' }],
    [{ truncate: false }, { truncate: false }],
    [{ truncate: true }, { truncate: true }],
    [
      { maxTokensPerDoc: 7, maxTokensPerQuery: 5 },
      { maxDocumentTokens: 7, maxQueryTokens: 5 },
    ],
    [{ model: 'any' }, {}],
    [{}, {}],
  ])('%j reaches the model as %j', async (asked, reached) => {
    await client.rerank({ query, documents, ...asked });
    const options = Object.entries(reranker.calls[0]!.options).filter(([name]) => name in every);
    expect(Object.fromEntries(options)).toEqual(reached);
  });

  test('warns of documents that were cut', async () => {
    const { warnings } = await client.rerank({ query, documents: [`1 ${'x'.repeat(600)}`, '2'] });
    expect(warnings).toEqual([expect.stringMatching(/^1 of 2 documents were cut/)]);
  });

  test('texts come through whole', async () => {
    const texts = ['', ' \u2028"\\\n', '\u{1f43c} panda', '0'.repeat(100_000)];
    await client.rerank({ query: 'q\u0301', documents: texts });
    expect(reranker.calls[0]).toMatchObject({ query: 'q\u0301', documents: texts });
  });

  test('pictures and clips come through byte for byte', async () => {
    const seeing = createFakeReranker({ kind: 'vl-decoder' });
    const seen: unknown[] = [];
    seeing.rerank = async (asked, shown) => {
      seen.push(asked, ...shown);
      return shown.map((_, index) => ({ index, score: 0.5, logit: 0, promptTokens: 1, truncatedTokens: 0 }));
    };
    const { url } = await open(startApp(seeing));
    const bytes = Uint8Array.from({ length: 50_000 }, (_, i) => i * 31);
    const picture: Content = [{ type: 'image_url', image_url: { url: await toDataUri(bytes, 'image/png') } }];
    const frames = await Promise.all([1, 2].map((size) => toDataUri(bytes.subarray(0, size))));
    const clip: Content = [
      { type: 'text', text: 'a clip: ' },
      { type: 'video_url', video_url: { url: frames, fps: 1 } },
    ];
    const { results } = await new RerankClient({ baseUrl: url }).rerank({
      query: picture,
      documents: ['a', clip],
      returnDocuments: true,
    });
    expect(seen).toEqual([picture, 'a', clip]);
    expect(results[1]!.document).toBe(clip);
    const sent = picture[0]!.type === 'image_url' ? picture[0]!.image_url.url : '';
    expect(Buffer.from(sent.split(',')[1]!, 'base64').equals(bytes)).toBe(true);
  });

  test('an abort reaches the model', async () => {
    const controller = new AbortController();
    const call = client.rerank({ query: 'hang', documents, signal: controller.signal });
    await expect.poll(() => reranker.calls.length).toBe(1);
    controller.abort();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    await expect.poll(() => reranker.aborts).toBe(1);
  });

  test('many at once', async () => {
    const calls = Array.from({ length: 50 }, (_, i) => client.rerank({ query, documents: [`${i}`], rawScores: true }));
    const answers = await Promise.all(calls);
    expect(answers.map(({ results }) => results[0]!.score)).toEqual(calls.map((_, i) => i));
  });
});

test('score: pairs in their order', async () => {
  const pairs = [
    { query: 'a', document: '1' },
    { query: 'b', document: '3' },
    { query: 'a', document: '-2' },
  ];
  const { scores, model, usage } = await client.score({ pairs, instruct: 'judge', maxTokensPerDoc: 9 });
  expect(scores).toEqual([1, 3, -2].map(probability));
  expect([model, usage.totalTokens]).toEqual(['BAAI/bge-reranker-v2-m3', 7]);
  expect(reranker.calls.map(({ options }) => [options.instruct, options.maxDocumentTokens])).toEqual([
    ['judge', 9],
    ['judge', 9],
  ]);
  expect((await client.score({ pairs, rawScores: true })).scores).toEqual([1, 3, -2]);
  expect((await client.score({ pairs: pairs.slice(0, 1) })).scores).toHaveLength(1);
  await expect(client.score({ pairs: [] })).rejects.toMatchObject({ status: 400 });
});

test('models and info', async () => {
  expect(await client.models()).toEqual([{ id: 'BAAI/bge-reranker-v2-m3', maxTokens: reranker.info.maxTokens }]);
  expect(await client.info()).toMatchObject({
    model: 'BAAI/bge-reranker-v2-m3',
    models: ['BAAI/bge-reranker-v2-m3'],
    kind: 'cross-encoder',
    maxDocuments: 1000,
    truncates: true,
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});

test('one of several models, by name', async () => {
  const served = ['a', 'b'].map((name, i) => {
    const slot = new RerankerSlot();
    const scored = { index: 0, score: i, logit: i, promptTokens: 1, truncatedTokens: 0 };
    const model = { ...createFakeReranker(), rerank: async () => [scored] };
    slot.fill(model); // oxlint-disable-line unicorn/no-array-fill-with-reference-type -- not an array
    return { name, slot };
  });
  const { url } = await open(listen(createApp(new ModelDirectory(served))));
  const several = new RerankClient({ baseUrl: url });
  const ask = (model?: string) => several.rerank({ query, documents: ['x'], model, rawScores: true });
  expect([(await ask()).model, (await ask('b')).results[0]!.score]).toEqual(['a', 1]);
  await expect(ask('c')).rejects.toMatchObject({ status: 404, message: expect.stringContaining('"c" does not exist') });
});

test('health and ready while a model loads, and when it has', async () => {
  const slot = new RerankerSlot();
  const { url } = await open(listen(createApp(slot)));
  const loading = new RerankClient({ baseUrl: url, maxRetries: 0 });
  expect([await loading.health(), await loading.ready()]).toEqual([true, false]);
  await expect(loading.rerank({ query, documents })).rejects.toMatchObject({ status: 503, retryAfterMs: 2000 });
  slot.fill(reranker);
  expect([await loading.health(), await loading.ready()]).toEqual([true, true]);
});

describe('failures', () => {
  test.each<[RerankRequest, object]>([
    [
      { query: '', documents },
      { status: 400, type: 'BadRequestError', message: 'HTTP 400: Query cannot be empty' },
    ],
    [
      { query, documents: [] },
      { status: 400, message: 'HTTP 400: Documents cannot be empty' },
    ],
    [
      { query: 5 as never, documents },
      { status: 400, message: expect.stringContaining('body.query') },
    ],
    [
      { query, documents: ['a\0'] },
      { status: 400, message: expect.stringContaining('documents[0]') },
    ],
    [
      { query: 'throw:input-too-long', documents },
      { status: 400, type: 'BadRequestError' },
    ],
    [
      { query: 'throw:deadline-exceeded', documents },
      { status: 504, type: '504' },
    ],
    [
      { query: 'throw', documents },
      { status: 500, type: 'InternalServerError' },
    ],
    [{ query: 'nan', documents }, { status: 500 }],
  ])('%j', async (request, expected) => {
    const error: unknown = await client.rerank(request).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RerankApiError);
    expect(error).toMatchObject({ requestId: anId, ...expected });
  });

  test('429 names the wait, with the header of ours', async () => {
    const { url } = await open(startApp(reranker));
    const once = new RerankClient({ baseUrl: url, maxRetries: 0 });
    await expect(once.rerank({ query: 'throw:overloaded', documents })).rejects.toMatchObject({
      status: 429,
      type: '429',
      retryAfterMs: 2000,
    });
  });
});

test('the key goes with every request', async () => {
  const before = guardAccess({ host: '127.0.0.1', keys: new ApiKeys(['sk-1']) });
  const { url } = await open(startApp(reranker, { before }));
  const right = new RerankClient({ baseUrl: url, apiKey: 'sk-1' });
  expect((await right.rerank({ query, documents })).results).toHaveLength(3);
  expect([await right.models(), await right.ready()]).toEqual([expect.anything(), true]);
  for (const apiKey of ['sk-2', undefined]) {
    const wrong = new RerankClient({ baseUrl: url, apiKey });
    await expect(wrong.rerank({ query, documents })).rejects.toMatchObject({ status: 401 });
    await expect(wrong.info()).rejects.toMatchObject({ status: 401 });
    expect(await wrong.ready()).toBe(true);
  }
  const byHeader = new RerankClient({ baseUrl: url, headers: { 'x-api-key': 'sk-1' } });
  expect((await byHeader.rerank({ query, documents })).results).toHaveLength(3);
});

test('the base URL may have a path, a slash at its end, and be a URL', async () => {
  const { url } = await open(listen(express().use('/svc/rank', createApp(reranker))));
  for (const baseUrl of [`${url}/svc/rank`, `${url}/svc/rank/`, `${url}/svc/rank//`, new URL('/svc/rank/', url)]) {
    const { results } = await new RerankClient({ baseUrl }).rerank({ query, documents });
    expect(results).toHaveLength(3);
  }
  await expect(new RerankClient({ baseUrl: url }).rerank({ query, documents })).rejects.toMatchObject({ status: 404 });
});

test('a fetch of the caller’s own is used', async () => {
  const asked: string[] = [];
  const { url } = await open(startApp(reranker));
  const own = new RerankClient({
    baseUrl: url,
    headers: { 'x-tenant': 't' },
    fetch: (input, init) => {
      asked.push(`${init!.method} ${String(input)} ${new Headers(init!.headers).get('x-tenant')}`);
      return fetch(input, init);
    },
  });
  await own.rerank({ query, documents });
  await own.models();
  expect(asked).toEqual([`POST ${url}/v2/rerank t`, `GET ${url}/v1/models t`]);
});
