import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { anId, ask, post, probability } from './dialects.ts';
import { createFakeReranker, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker({ model: 'BAAI/bge-reranker-v2-m3' });
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker, { maxDocuments: 20 });
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
});

const model = 'BAAI/bge-reranker-v2-m3';
const query = 'q';
const documents = ['-1 a', '2 b', '0 c'];
const scores = [
  { index: 1, relevance_score: probability(2) },
  { index: 2, relevance_score: probability(0) },
  { index: 0, relevance_score: probability(-1) },
];
const usage = { prompt_tokens: 13, completion_tokens: 0, total_tokens: 13 };
const meta = (version: string) => ({
  api_version: { version },
  billed_units: { search_units: 1 },
  tokens: { input_tokens: 13, output_tokens: 0 },
});
const echoed = scores.map((one) => ({ ...one, document: { text: documents[one.index] } }));

/** As SGLang tells it, beside each result. */
const told = (results: readonly object[]) => {
  const meta_info = { prompt_tokens: expect.any(Number) as number, truncated_tokens: 0 };
  return results.map((one, i) => ({ ...one, meta_info: { ...meta_info, logit: [2, 0, -1][i] } }));
};

describe('the superset answer', () => {
  test.each(['/rerank', '/v1/reranking', '/reranking', '/v1/reranks', '/invocations'])(
    '%s: with documents',
    async (path) => {
      expect(await ask(app.url + path, { model: 'any', query, documents })).toEqual({
        id: anId,
        object: 'list',
        model,
        results: told(echoed),
        usage,
        data: scores,
        meta: meta('2'),
      });
    },
  );

  test('/v2/rerank: without, unless asked', async () => {
    const { results, data } = await ask(`${app.url}/v2/rerank`, { query, documents });
    expect({ results, data }).toEqual({ results: told(scores), data: scores });
    const asked = await ask(`${app.url}/v2/rerank`, { query, documents, return_documents: true });
    expect(asked.results).toEqual(told(echoed));
    expect(asked.data).toEqual(scores.map((one) => ({ ...one, document: documents[one.index] })));
  });

  test('/v1/rerank has it once the server was started so, and /sglang the bare array then', async () => {
    const other = await startApp(reranker, { apiDialect: 'jina' });
    expect(await ask(`${other.url}/v1/rerank`, { query, documents })).toMatchObject({
      object: 'list',
      results: echoed,
    });
    expect(await ask(`${other.url}/v1/rerank`, { query, texts: documents })).toMatchObject([{ index: 1 }, {}, {}]);
    expect(await ask(`${other.url}/sglang/v1/rerank`, { query, documents })).toMatchObject([
      { score: 2, index: 1 },
      {},
      {},
    ]);
    const { status, body } = await post(`${other.url}/v1/rerank`, '{');
    expect([status, body]).toEqual([400, expect.objectContaining({ error: expect.anything(), detail: body.message })]);
    await other.close();
  });
});

test('each prefix answers in its own form whatever the path is called', async () => {
  for (const path of ['/v1/rerank', '/v2/rerank', '/rerank', '/v1/reranking', '/reranking', '/v1/reranks']) {
    const of = (prefix: string) => ask(`${app.url}/${prefix}${path}`, { query, documents, texts: documents });
    expect(await of('jina')).toEqual({ id: anId, object: 'list', model, results: echoed, usage });
    expect(await of('cohere')).toEqual({ id: anId, results: scores, meta: meta(path === '/v2/rerank' ? '2' : '1') });
    expect(await of('vllm')).toEqual({
      id: anId,
      model,
      usage,
      results: scores.map((one) => ({ ...one, document: { text: documents[one.index], multi_modal: null } })),
    });
    expect(await of('voyage')).toEqual({ object: 'list', data: scores, model, usage: { total_tokens: 13 } });
    expect(await of('tei')).toEqual(scores.map(({ index, relevance_score: score }) => ({ index, score })));
    expect(await of('sglang')).toMatchObject([{ score: 2 }, { score: 0 }, { score: -1 }]);
  }
  expect((await post(`${app.url}/jina/cohere/rerank`, { query, documents })).status).toBe(404);
  expect((await post(`${app.url}/jinax/rerank`, { query, documents })).status).toBe(404);
});

describe('scores', () => {
  test.each([
    [{ raw_scores: true }, 2],
    [{ raw_scores: 'true' }, 2],
    [{ use_activation: false }, 2],
    [{ use_activation: 'False' }, 2],
    [{ raw_scores: false, use_activation: true }, probability(2)],
    [{ raw_scores: null, use_activation: null }, probability(2)],
  ])('%j', async (options, score) => {
    const { results } = await ask(`${app.url}/rerank`, { query, documents, ...options });
    expect(results[0].relevance_score).toBe(score);
  });

  test('a decoder’s p(yes) is the same sigmoid, once', async () => {
    const other = await startApp(createFakeReranker({ kind: 'text-decoder', activation: 'sigmoid' }));
    const { results } = await ask(`${other.url}/rerank`, { query, documents });
    expect(results[0].relevance_score).toBe(probability(2));
    await other.close();
  });

  test('order is that of logits where probabilities are equal, and that of the request where logits are', async () => {
    const { results } = await ask(`${app.url}/rerank`, { query, documents: ['40 a', '50 b', '40 c', '60 d'] });
    expect(results.map((one: { index: number }) => one.index)).toEqual([3, 1, 0, 2]);
    expect(results[0].relevance_score).toBe(results[1].relevance_score);
  });
});

describe('optional fields', () => {
  const all = [1, 2, 0];
  test.each<[object, number[]]>([
    [{ top_n: null }, all],
    [{ top_n: 0 }, all],
    [{ top_n: 99 }, all],
    [{ top_n: '2' }, [1, 2]],
    [{ top_n: 1, top_k: 2 }, [1]],
    [{ top_n: 2, top_k: null }, [1, 2]],
  ])('%j keeps %j', async (options, indexes) => {
    const answer = await ask(`${app.url}/rerank`, { query, documents, ...options });
    expect(answer.results.map((one: { index: number }) => one.index)).toEqual(indexes);
    // Tokens of all documents were read, whatever is given back.
    expect(answer.usage).toEqual(usage);
  });

  test('nulls and unknown fields are as good as nothing', async () => {
    const nulls = {
      model: null,
      return_documents: null,
      rank_fields: null,
      instruction: null,
      chat_template_kwargs: null,
      max_tokens_per_doc: null,
      max_chunks_per_doc: null,
      truncate_prompt_tokens: null,
      truncation_side: null,
      truncate: null,
      priority: 3,
      user: { a: [] },
      return_len: 'true',
      score_threshold: 0.3,
    };
    expect(await ask(`${app.url}/rerank`, { query, documents, ...nulls })).toMatchObject({ results: echoed });
    expect(Object.keys(reranker.calls[0]!.options)).toEqual(['signal', 'request']);
  });

  test.each<[object, object]>([
    [{ instruction: 'find' }, { instruct: 'find' }],
    [{ instruct: 'find' }, { instruct: 'find' }],
    [{ chat_template_kwargs: { instruction: 'find' } }, { instruct: 'find' }],
    [{ instruction: '' }, {}],
    [{ max_tokens_per_doc: 7 }, { maxDocumentTokens: 7 }],
    [{ max_tokens_per_doc: 0, max_tokens_per_query: 0 }, {}],
    [{ max_tokens_per_query: '5' }, { maxQueryTokens: 5 }],
    [
      { truncate_prompt_tokens: 64, truncation_side: 'right' },
      { truncate: true, maxPairTokens: 64 },
    ],
    [{ truncate_prompt_tokens: -1 }, { truncate: true }],
    [{ truncation: false }, { truncate: false }],
    [{ truncate: 'true' }, { truncate: true }],
  ])('%j reaches the model as %j', async (sent, options) => {
    await ask(`${app.url}/rerank`, { query, documents, ...sent });
    const { signal: _, request: __, ...reached } = reranker.calls[0]!.options;
    expect(reached).toEqual(options);
  });

  test('max_tokens_per_query is refused by its name for a model that has no such cut', async () => {
    const decoder = createFakeReranker({ kind: 'text-decoder' });
    const other = await startApp(decoder);
    const message = 'max_tokens_per_query is for cross-encoders: a decoder reads its prompt as one text';
    for (const path of ['/rerank', '/jina/v1/rerank']) {
      const { status, body } = await post(other.url + path, { query, documents, max_tokens_per_query: 5 });
      expect([status, body.message]).toEqual([400, message]);
      expect((await post(other.url + path, { query, documents, max_tokens_per_query: 0 })).status).toBe(200);
    }
    expect(decoder.calls).toHaveLength(2);
    await other.close();
  });

  test('documents that were cut are counted', async () => {
    const answer = await ask(`${app.url}/rerank`, { query, documents: ['1 a', 'x'.repeat(600)] });
    expect(answer.meta.warnings).toEqual(['1 of 2 documents were cut to the length that the model reads']);
  });
});

describe('refusals', () => {
  test.each<[object, string]>([
    [{ documents }, 'body.query: Field required'],
    [{ query }, 'body.documents: Field required'],
    [{ query: ' \n', documents }, 'Query cannot be empty or whitespace only'],
    [{ query: '', documents }, 'Query cannot be empty'],
    [{ query: { title: 'x' }, documents }, 'body.query: Input should be a valid string or an object with text'],
    [{ query, documents: [] }, 'Documents cannot be empty'],
    [{ query, documents: [1] }, 'body.documents[0]: Input should be a valid string'],
    [{ query, documents: null }, 'body.documents: '],
    [{ query, documents: [[{ type: 'audio' }]] }, 'body.documents[0][0].type: Input should be'],
    [{ query, documents: ['a', { content: [{ type: 'text' }] }] }, 'body.documents[1].content[0].text: Field required'],
    [{ query, documents: [{ type: 'image_url', image_url: 'x' }] }, 'body.documents[0].image_url: '],
    [{ query, documents: ['a\0'] }, 'documents[0] contains a NUL character'],
    [{ query, documents: [{ text: '\ud800' }] }, 'documents[0] contains a lone surrogate'],
    [{ query, documents, instruction: '\0' }, 'instruction contains a NUL character'],
    [{ query, documents, top_n: -1 }, 'body.top_n: Input should be greater than or equal to 0'],
    [{ query, documents, top_n: 1.5 }, 'body.top_n: Input should be a valid integer'],
    [{ query, documents, truncate_prompt_tokens: -2 }, 'body.truncate_prompt_tokens: '],
    [{ query, documents, truncation_side: 'left' }, "truncation_side 'left' is not supported"],
    [{ query, documents, truncation_side: 'up' }, "body.truncation_side: Input should be 'left' or 'right'"],
    [{ query, documents, raw_scores: 'perhaps' }, 'body.raw_scores: Input should be a valid boolean'],
    [{ query, documents, model: 5 }, 'body.model: Input should be a valid string'],
    [{ query, documents: Array.from({ length: 21 }, () => 'a') }, 'Document count 21 exceeds limit 20 per request'],
  ])('%j', async (sent, message) => {
    const { status, body } = await post(`${app.url}/rerank`, sent);
    expect(status).toBe(400);
    expect(body).toEqual({
      error: { message: body.message, type: expect.stringMatching(/^Bad ?Request/), param: null, code: 400 },
      message: body.message,
      detail: body.message,
      id: anId,
    });
    expect(body.message).toContain(message);
    expect(reranker.calls).toEqual([]);
  });
});
