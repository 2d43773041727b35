import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFakeReranker, postRerank, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker();
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker);
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
});

const rerank = async (body: object, init?: RequestInit) => {
  const response = await postRerank(app.url, body, init);
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>[];
};

describe('the answer', () => {
  test('is a bare array, byte for byte in SGLang’s key order, best first', async () => {
    const response = await postRerank(app.url, {
      query: 'what is panda?',
      documents: ['-8.5 hi', '5.25 The giant panda'],
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.text()).toBe(
      '[{"score":5.25,"document":"5.25 The giant panda","index":1,"meta_info":{"prompt_tokens":34,"truncated_tokens":0,"logit":5.25}},' +
        '{"score":-8.5,"document":"-8.5 hi","index":0,"meta_info":{"prompt_tokens":21,"truncated_tokens":0,"logit":-8.5}}]',
    );
  });

  test('ties keep the order of the request', async () => {
    const answer = await rerank({ query: 'q', documents: ['1 a', '2 b', '1 c', '2 d', '1 e'] });
    expect(answer.map((item) => item.index)).toEqual([1, 3, 0, 2, 4]);
  });

  test('truncation is reported', async () => {
    const [item] = await rerank({ query: 'q', documents: ['x'.repeat(600)] });
    expect(item!.meta_info).toEqual({ prompt_tokens: 512, truncated_tokens: 89, logit: 0 });
  });

  test('PUT answers as POST does', async () => {
    const body = { query: 'q', documents: ['1 a', '2 b'] };
    expect(await rerank(body, { method: 'PUT' })).toEqual(await rerank(body));
  });

  test('text that JSON and HTML escape comes back unchanged', async () => {
    const document = '1 "\\\n\t\u2028</script>\u{1f43c} e\u0301 \u007f';
    const [item] = await rerank({ query: 'q', documents: [document] });
    expect(item!.document).toBe(document);
  });
});

describe('top_n', () => {
  test.each([
    [1, [2]],
    [2, [2, 1]],
    [3, [2, 1, 0]],
    [99, [2, 1, 0]],
    [null, [2, 1, 0]],
  ])('%s', async (top_n, indexes) => {
    const answer = await rerank({ query: 'q', documents: ['1', '2', '3'], top_n });
    expect(answer.map((item) => item.index)).toEqual(indexes);
    expect(reranker.calls[0]!.documents).toHaveLength(3);
  });
});

describe('return_documents', () => {
  test('false: the key is absent, not null', async () => {
    const [item] = await rerank({ query: 'q', documents: ['1'], return_documents: false });
    expect(Object.keys(item!)).toEqual(['score', 'index', 'meta_info']);
  });

  test.each([
    ['cross-encoder', true],
    ['text-decoder', true],
    ['vl-decoder', false],
  ] as const)('default for a %s: %s', async (kind, returned) => {
    const other = await startApp(createFakeReranker({ kind }));
    for (const value of [undefined, null]) {
      const response = await postRerank(other.url, { query: 'q', documents: ['1 a'], return_documents: value });
      const [item] = (await response.json()) as object[];
      expect('document' in item!).toBe(returned);
    }
    await other.close();
  });

  test('a document in parts is echoed as sent, unknown keys included', async () => {
    const parts = [
      { type: 'text', text: '7 a', note: [1] },
      { text: '', type: 'text' },
    ];
    const [item] = await rerank({ query: [{ type: 'text', text: 'q' }], documents: [parts, 'b'] });
    expect(item).toMatchObject({ index: 0, score: 7 });
    expect(JSON.stringify(item!.document)).toBe(JSON.stringify(parts));
  });
});

describe('what reaches the model', () => {
  test('query and documents, and nothing that was not asked for', async () => {
    await rerank({ query: 'q', documents: ['a', [{ type: 'text', text: 'b' }]], model: 'x', user: 1, rid: {} });
    const [{ query, documents, options }] = reranker.calls as [(typeof reranker.calls)[number]];
    expect({ query, documents }).toEqual({ query: 'q', documents: ['a', [{ type: 'text', text: 'b' }]] });
    expect(Object.keys(options)).toEqual(['signal', 'request']);
  });

  test.each([
    ['find it', 'find it'],
    ['', undefined],
    [null, undefined],
  ])('instruct %j is passed as %j', async (instruct, passed) => {
    await rerank({ query: 'q', documents: ['a'], instruct });
    expect(reranker.calls[0]!.options.instruct).toBe(passed);
  });

  test('1,000 documents of 200 words in one request', async () => {
    const words = 'panda '.repeat(200);
    const documents = Array.from({ length: 1000 }, (_, i) => `${i} ${words}`);
    const answer = await rerank({ query: 'q', documents });
    expect(answer.map((item) => item.index)).toEqual(documents.map((_, i) => 999 - i));
    expect(answer[0]!.document).toBe(documents[999]);
  });
});

describe('lax values, as pydantic reads them', () => {
  test.each([
    [true, 1],
    [2.0, 2],
    ['2', 2],
    [' 2 ', 2],
    ['+2', 2],
    ['2.0', 2],
    ['02', 2],
    ['1_000', 1000],
    [1e25, 1e25],
  ])('top_n %j means %s', async (top_n, meant) => {
    await rerank({ query: 'q', documents: ['1', '2', '3'], top_n });
    expect(reranker.calls[0]!.options.topN).toBe(meant);
  });

  const yes = [true, 1, '1', 'true', 'TRUE', 'True', 't', 'y', 'yes', 'on'].map((word) => [word, true] as const);
  const no = [false, 0, '0', 'false', 'False', 'f', 'n', 'no', 'off', 'OFF'].map((word) => [word, false] as const);
  test.each([...yes, ...no])('return_documents %j means %s', async (return_documents, meant) => {
    const [item] = await rerank({ query: 'q', documents: ['1'], return_documents });
    expect('document' in item!).toBe(meant);
  });

  test.each(['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;x'])(
    'content type %s',
    async (type) => {
      await rerank({ query: 'q', documents: ['1'] }, { headers: { 'content-type': type } });
    },
  );

  test('a byte order mark and duplicate keys (the last wins)', async () => {
    const response = await postRerank(app.url, '\ufeff{"query":5,"query":"q","documents":["1"]}');
    expect(response.status).toBe(200);
  });
});
