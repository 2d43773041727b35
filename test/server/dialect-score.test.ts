import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { anId, ask, post, probability } from './dialects.ts';
import { createFakeReranker, startApp, type RunningApp } from './fake-reranker.ts';

const info = {
  model: 'a/model',
  kind: 'text-decoder',
  activation: 'sigmoid',
  scoringTokens: { yes: 9693, no: 2152 },
} as const;
const reranker = createFakeReranker(info);
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker, { maxDocuments: 20 });
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
});

describe.each(['/score', '/v1/score', '/vllm/score', '/vllm/v1/score'])('pairs at %s, as vLLM', (path) => {
  test.each([
    ['queries', 'documents'],
    ['queries', 'items'],
    ['data_1', 'data_2'],
    ['text_1', 'text_2'],
  ])('%s and %s, 1 × N, in the order of the request', async (first, second) => {
    const answer = await ask(app.url + path, { model: 'any', [first]: 'q', [second]: ['1 a', '3 b', '-2 c'] });
    expect(answer).toEqual({
      id: anId,
      object: 'list',
      created: expect.any(Number),
      model: 'a/model',
      data: [1, 3, -2].map((logit, index) => ({ index, object: 'score', score: probability(logit) })),
      usage: { prompt_tokens: 13, completion_tokens: 0, total_tokens: 13 },
    });
    expect(Math.abs(answer.created - Date.now() / 1000)).toBeLessThan(60);
    expect(reranker.calls).toHaveLength(1);
  });

  const scores = async (body: object) =>
    (await ask(app.url + path, body)).data.map((one: { score: number }) => one.score);

  test('1 × 1, as texts and as lists', async () => {
    const one = [probability(2)];
    expect(await scores({ text_1: 'q', text_2: '2 a' })).toEqual(one);
    expect(await scores({ text_1: ['q'], text_2: ['2 a'] })).toEqual(one);
    expect(await scores({ text_1: 'q', text_2: { content: [{ type: 'text', text: '2 a' }] } })).toEqual(one);
  });

  test('N × N: each with its own, equal queries in one call', async () => {
    const text_1 = ['p', 'q', 'p', 'r'];
    const text_2 = ['1 a', '2 b', '3 c', '0 d'];
    expect(await scores({ text_1, text_2 })).toEqual([1, 2, 3, 0].map(probability));
    expect(reranker.calls.map(({ query, documents }) => [query, documents])).toEqual([
      ['p', ['1 a', '3 c']],
      ['q', ['2 b']],
      ['r', ['0 d']],
    ]);
    expect(await scores({ text_1, text_2, use_activation: false })).toEqual([1, 2, 3, 0]);
  });

  test.each<[object, object]>([
    [{ instruction: 'find' }, { instruct: 'find' }],
    [{ instruct: 'find' }, { instruct: 'find' }],
    [{ chat_template_kwargs: { instruction: 'find' } }, { instruct: 'find' }],
    [{ instruction: '', instruct: 'not this' }, {}],
    [{ truncation_side: 'right', truncation: true }, { truncate: true }],
    [{ truncation: false }, { truncate: false }],
    [{ truncate: false }, { truncate: false }],
    [
      { truncate_prompt_tokens: 64, truncate: false },
      { truncate: true, maxPairTokens: 64 },
    ],
    [{ max_tokens_per_doc: 7, max_tokens_per_query: 0 }, { maxDocumentTokens: 7 }],
  ])('%j reaches the model as %j, as in a ranking', async (sent, options) => {
    await ask(app.url + path, { queries: 'q', documents: 'a', ...sent });
    await ask(`${app.url}/rerank`, { query: 'q', documents: 'a', ...sent });
    for (const call of reranker.calls) {
      const { signal: _, request: __, ...reached } = call.options;
      expect(reached).toEqual(options);
    }
    expect(reranker.calls).toHaveLength(2);
  });

  test.each<[object, string]>([
    [{}, 'No pairs: give queries and documents'],
    [{ text_1: 'q', text_2: 'a', truncation_side: 'left' }, "truncation_side 'left' is not supported"],
    [{ text_1: 'q', text_2: 'a', instruct: '\0' }, 'instruction contains a NUL character'],
    [{ text_1: 'q', text_2: 'a', max_tokens_per_query: 5 }, 'max_tokens_per_query is for cross-encoders'],
    [{ text_1: 'q' }, 'No pairs: give'],
    [{ text_1: 'q', data_2: 'a' }, 'No pairs: give'],
    [{ query: 'q', items: ['a'], label_token_ids: [1, 2] }, 'are read at /sglang/v1/score'],
    [{ text_1: [], text_2: ['a'] }, 'At least one of text_1 must be given'],
    [{ text_1: 'q', text_2: [] }, 'At least one of text_2 must be given'],
    [{ text_1: ['q', 'r'], text_2: ['a', 'b', 'c'] }, 'Input lengths must be either 1:1, 1:N or N:N (not 2:3)'],
    [{ text_1: ['q', 'r'], text_2: ['a'] }, 'Input lengths must be either 1:1, 1:N or N:N (not 2:1)'],
    [{ text_1: 'q', text_2: ['a', 5] }, 'body.text_2[1]: Input should be'],
    [{ text_1: 'q', text_2: ['a\0'] }, 'text_2[0] contains a NUL character'],
    [{ text_1: 'q', text_2: Array(21).fill('a') }, 'Document count 21 exceeds limit 20'],
  ])('%j is refused', async (body, message) => {
    const answer = await post(app.url + path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toEqual({
      message: answer.body.error.message,
      type: expect.any(String),
      param: null,
      code: 400,
    });
    expect(answer.body.error.message).toContain(message);
    expect('detail' in answer.body).toBe(!path.startsWith('/vllm'));
  });
});

test('one failing query ends the others', async () => {
  const answer = await post(`${app.url}/score`, { text_1: ['hang', 'throw:device-lost'], text_2: ['a', 'b'] });
  expect(answer.status).toBe(503);
  await expect.poll(() => reranker.aborts).toBe(1);
});

describe('/sglang/v1/score', () => {
  const path = '/sglang/v1/score';
  const good = { query: 'q', items: ['1 a', '-2 b'], label_token_ids: [9693, 2152], apply_softmax: true };

  test('the shares of yes and no, in the order of the labels', async () => {
    expect(await ask(app.url + path, { ...good, model: 'any' })).toEqual({
      scores: [
        [probability(1), probability(-1)],
        [probability(-2), probability(2)],
      ],
      model: 'a/model',
      usage: { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 },
      object: 'scoring',
    });
    const { scores } = await ask(app.url + path, { ...good, items: '1 a', label_token_ids: ['2152', 9693] });
    expect(scores).toEqual([[probability(-1), probability(1)]]);
  });

  test.each<[object, string]>([
    [
      { label_token_ids: [1, 2] },
      'label_token_ids must be [9693, 2152] (yes, no) or [2152, 9693]: the model computes no other tokens',
    ],
    [{ label_token_ids: [9693] }, 'label_token_ids must be'],
    [{ label_token_ids: null }, 'label_token_ids must be'],
    [{ apply_softmax: false }, 'apply_softmax must be true'],
    [{ item_first: true }, 'item_first is not supported'],
    [{ query: '' }, 'Query cannot be empty'],
    [{ items: [] }, 'Items cannot be empty'],
    [{ query: [1, 2] }, 'body.query: Input should be a valid string'],
  ])('%j is refused by name', async (change, message) => {
    const { status, body } = await post(app.url + path, { ...good, ...change });
    expect(status).toBe(400);
    expect(body).toEqual({ object: 'error', message: body.message, type: expect.any(String), param: null, code: 400 });
    expect(body.message).toContain(message);
  });

  test('a model without label tokens says where to go', async () => {
    const other = await startApp(createFakeReranker());
    const { status, body } = await post(other.url + path, good);
    expect([status, body.message]).toEqual([
      400,
      'This model (cross-encoder) has no pair of label tokens: use /v1/rerank.',
    ]);
    await other.close();
  });
});

describe('/v1/ranking, as NVIDIA', () => {
  const passages = [{ text: '1 a' }, { text: '3 b' }];
  test.each(['/v1/ranking', '/v1/reranking', '/jina/v1/ranking'])('%s', async (path) => {
    const sent = { model: 'any', query: { text: 'q' }, passages, truncate: 'END' };
    expect(await ask(app.url + path, sent)).toEqual({
      rankings: [
        { index: 1, logit: 3 },
        { index: 0, logit: 1 },
      ],
      usage: { prompt_tokens: 8, completion_tokens: 0, total_tokens: 8 },
    });
    expect(reranker.calls[0]!.options.truncate).toBe(true);
    expect((await ask(app.url + path, { ...sent, top_n: 1 })).rankings).toHaveLength(1);
    expect((await post(app.url + path, { ...sent, truncate: 'START' })).status).toBe(400);
    expect((await post(app.url + path, { ...sent, passages: [] })).body.message).toBe('Passages cannot be empty');
  });
});
