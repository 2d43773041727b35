import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../src/server/app.ts';
import { ModelDirectory } from '../../src/server/model-directory.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import { get, post } from './dialects.ts';
import { createFakeReranker, listen, type RunningApp } from './fake-reranker.ts';

const small = createFakeReranker({ model: '/models/small', maxTokens: 512 });
const large = createFakeReranker({ model: '/models/large', maxTokens: 8192 });
const slots = [new RerankerSlot(), new RerankerSlot()] as const;
let app: RunningApp;
beforeAll(async () => {
  slots[0].fill(small);
  const models = [
    { slot: slots[0], name: 'small' },
    { slot: slots[1], name: 'org/large' },
  ];
  app = await listen(createApp(new ModelDirectory(models)));
});
afterAll(() => app.close());

const ask = (model: unknown, path = '/v1/rerank') => post(app.url + path, { query: 'q', documents: ['1 a'], model });

test('while one of two loads the other answers, and the server is not ready', async () => {
  expect((await get(`${app.url}/ready`)).status).toBe(503);
  expect((await get(`${app.url}/v1/models`)).body.data).toMatchObject([{ id: 'small' }]);
  expect((await ask('small')).status).toBe(200);
  expect((await ask('org/large')).status).toBe(503);
  slots[1].fill(large);
  expect((await get(`${app.url}/ready`)).status).toBe(200);
  expect((await get(`${app.url}/v1/models`)).body.data).toMatchObject([
    { id: 'small', max_model_len: 512 },
    { id: 'org/large', max_model_len: 8192 },
  ]);
  expect((await get(`${app.url}/v1/models/org/large`)).body).toMatchObject({ id: 'org/large' });
});

describe('with several models', () => {
  test.each([
    ['small', small],
    ['org/large', large],
    [undefined, small],
    [null, small],
    ['', small],
  ])('model %j', async (model, meant) => {
    for (const path of ['/v1/rerank', '/rerank', '/v2/rerank', '/cohere/v1/rerank']) {
      const before = meant.calls.length;
      const { status, body } = await ask(model, path);
      expect([status, meant.calls.length]).toEqual([200, before + 1]);
      if (path === '/rerank') expect(body.model).toBe(meant === small ? 'small' : 'org/large');
    }
  });

  test('a path that is no name is none', async () => {
    for (const path of ['/v1/rerank', '/rerank']) expect((await ask('/models/large', path)).status).toBe(404);
  });

  test('what is no text is no name, in formats too that do not read it', async () => {
    const before = [small.calls.length, large.calls.length];
    for (const model of [5, {}, true, ['small']]) {
      const message = '1 validation error: body.model: Input should be a valid string';
      const sglang = await ask(model);
      expect([sglang.status, sglang.body.message]).toEqual([400, message]);
      const tei = await post(`${app.url}/tei/rerank`, { query: 'q', texts: ['a'], model });
      expect([tei.status, tei.body]).toEqual([422, { error: message, error_type: 'Validation' }]);
    }
    expect([small.calls.length, large.calls.length]).toEqual(before);
  });

  test('TEI’s format selects, too', async () => {
    for (const [model, meant] of [
      ['org/large', large],
      ['small', small],
      [undefined, small],
      [null, small],
    ] as const) {
      const before = meant.calls.length;
      const { status } = await post(`${app.url}/tei/rerank`, { query: 'q', texts: ['a'], model });
      expect([status, meant.calls.length]).toEqual([200, before + 1]);
    }
    const unknown = await post(`${app.url}/tei/rerank`, { query: 'q', texts: ['a'], model: 'nope' });
    expect([unknown.status, unknown.body.error]).toEqual([404, 'The model "nope" does not exist (small, org/large).']);
  });

  test('the kind of the one that is asked decides', async () => {
    const slot = new RerankerSlot();
    const decoder = createFakeReranker({ kind: 'text-decoder' });
    const models = new ModelDirectory([
      { slot: slots[0], name: 'small' },
      { slot, name: 'decoder' },
    ]);
    expect([models.kindOf(), models.kindOf('decoder'), models.kindOf('x')]).toEqual([
      'cross-encoder',
      undefined,
      undefined,
    ]);
    slot.fill(decoder);
    const other = await listen(createApp(models));
    const sent = { query: 'q', documents: ['a'], max_tokens_per_query: 5 };
    expect((await post(`${other.url}/rerank`, { ...sent, model: 'small' })).status).toBe(200);
    expect((await post(`${other.url}/rerank`, { ...sent, model: 'decoder' })).status).toBe(400);
    await other.close();
  });

  test('an unknown one is refused as each wire format has it, before anything is scored', async () => {
    const before = [small.calls.length, large.calls.length];
    const message = 'The model "gpt" does not exist (small, org/large).';
    const openAi = { message, type: 'NotFoundError', param: null, code: 404 };
    const { id, ...superset } = (await ask('gpt', '/rerank')).body;
    expect(superset).toEqual({ error: openAi, message, detail: message });
    expect((await ask('gpt')).body).toEqual({ object: 'error', ...openAi });
    expect((await ask('gpt', '/vllm/rerank')).body).toEqual({ error: openAi });
    expect((await ask('gpt', '/cohere/v2/rerank')).body).toEqual({ id: expect.any(String), message });
    const voyage = await ask('gpt', '/voyage/v1/rerank');
    expect([voyage.status, voyage.body]).toEqual([400, { detail: message }]);
    const scored = await post(`${app.url}/score`, { model: 'gpt', text_1: 'q', text_2: 'a' });
    expect(scored.status).toBe(404);
    expect([small.calls.length, large.calls.length]).toEqual(before);
    expect(id).toEqual(expect.any(String));
  });
});

test('one model answers to any name, and to what is no name in SGLang’s and TEI’s formats', async () => {
  const other = await listen(createApp(small));
  for (const model of ['x', '', null, 5, {}]) {
    const { status } = await post(`${other.url}/v1/rerank`, { query: 'q', documents: ['a'], model });
    expect(status).toBe(200);
    expect((await post(`${other.url}/tei/rerank`, { query: 'q', texts: ['a'], model })).status).toBe(200);
  }
  await other.close();
});

test('names of several models are there and differ', () => {
  const slot = new RerankerSlot();
  expect(() => new ModelDirectory([])).toThrow(TypeError);
  expect(() => new ModelDirectory([{ slot }, { slot, name: 'a' }])).toThrow('needs a name of its own');
  expect(
    () =>
      new ModelDirectory([
        { slot, name: 'a' },
        { slot, name: 'a' },
      ]),
  ).toThrow('needs a name of its own');
});
