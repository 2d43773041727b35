import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, post } from './dialects.ts';
import { createFakeReranker, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker();
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker);
});
afterAll(() => app.close());
beforeEach(() => {
  reranker.calls.length = 0;
});

const query = 'q';
const image = (url: string) => ({ type: 'image_url', image_url: { url } });
const words = (text: string) => ({ type: 'text', text });

describe('forms of a document, and what the model gets', () => {
  test.each<[unknown, unknown]>([
    ['a', 'a'],
    ['', ''],
    [{ text: 'a', id: 7 }, 'a'],
    [{ image: 'https://x/y.png' }, [image('https://x/y.png')]],
    [{ text: 'a', image: 'data:,' }, [words('a'), image('data:,')]],
    [{ text: '', image: { url: 'data:,' } }, [image('data:,')]],
    [{ content: [words('a'), image('b')] }, [words('a'), image('b')]],
    [
      [words('a'), image('b')],
      [words('a'), image('b')],
    ],
    [words('a'), [words('a')]],
    [image('b'), [image('b')]],
    [{ type: 'video_url', video_url: { url: 'c' } }, [{ type: 'video_url', video_url: { url: 'c' } }]],
    [{ type: 'multimodal', text: 'a', images: ['b', { url: 'c' }] }, [words('a'), image('b'), image('c')]],
    [{ title: 'a', content: 'b', n: 1 }, '{"title":"a","content":"b","n":1}'],
    [{ type: 'post', body: 'a' }, '{"type":"post","body":"a"}'],
    [{}, '{}'],
  ])('%j', async (document, content) => {
    const vision = createFakeReranker({ kind: 'vl-decoder' });
    vision.rerank = async (asked, all, options = {}) => {
      vision.calls.push({ query: asked, documents: all, options });
      return all.map((_, index) => ({ index, score: 0, logit: 0, promptTokens: 1, truncatedTokens: 0 }));
    };
    const seeing = await startApp(vision);
    const { results } = await ask(`${seeing.url}/rerank`, { query, documents: [document] });
    expect(vision.calls[0]!.documents).toEqual([content]);
    const echo =
      typeof document === 'string' ? { text: document } : Array.isArray(document) ? { content: document } : document;
    expect(results[0].document).toEqual(echo);
    await seeing.close();
  });

  test('a single document needs no list', async () => {
    expect(await ask(`${app.url}/vllm/rerank`, { query, documents: '1 a' })).toMatchObject({ results: [{ index: 0 }] });
    expect(await ask(`${app.url}/rerank`, { query: { text: 'q' }, documents: { text: '1 a' } })).toMatchObject({
      results: [{ document: { text: '1 a' } }],
    });
    expect(reranker.calls[1]).toMatchObject({ query: 'q', documents: ['1 a'] });
  });

  test.each<[string[], unknown]>([
    [['text'], '1 a'],
    [['title'], '5 t'],
    [['n', 'title'], '{"n":7,"title":"5 t"}'],
    [['title', 'nope', 'n'], '{"title":"5 t","n":7}'],
    [['n'], '{"n":7}'],
    [[], '1 a'],
  ])('rank_fields %j', async (rank_fields, content) => {
    const document = { text: '1 a', title: '5 t', n: 7 };
    await ask(`${app.url}/rerank`, { query, documents: [document, 'as it is'], rank_fields });
    expect(reranker.calls[0]!.documents).toEqual([content, 'as it is']);
  });

  test('rank_fields of which a document has none are refused: all texts would be the same', async () => {
    const sent = { query, documents: [{ title: 'a' }, 'as it is', { text: 'b' }], rank_fields: ['title', 'nope'] };
    for (const path of ['/rerank', '/cohere/v1/rerank']) {
      const { status, body } = await post(app.url + path, sent);
      expect([status, body.message]).toEqual([400, 'documents[2] has none of rank_fields']);
    }
    const { body } = await post(`${app.url}/rerank`, { query, documents: { text: 'a' }, rank_fields: ['nope'] });
    expect(body.message).toBe('documents[0] has none of rank_fields');
    expect(reranker.calls).toEqual([]);
  });

  test.each(['/vllm/rerank', '/voyage/v1/rerank'])('%s refuses objects of no known form', async (path) => {
    const { status, body } = await post(app.url + path, { query, documents: ['a', { title: 'b' }] });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain('body.documents[1]: Input should be a valid string or an object with text');
  });
});
