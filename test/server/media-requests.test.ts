import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Content } from '../../src/rerank/reranker.ts';
import { createFakeReranker, postRerank, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker({ kind: 'vl-decoder' });
/** Media never reach the fake model's reading: what the schema has made of them is what was called. */
const seen: Content[] = [];
let app: RunningApp;
beforeAll(async () => {
  app = await startApp({
    ...reranker,
    rerank: async (query, documents, options) => {
      seen.push(query, ...documents);
      return reranker.rerank(
        'q',
        documents.map(() => '1'),
        options,
      );
    },
  });
});
afterAll(() => app.close());
beforeEach(() => {
  seen.length = 0;
});

const image = (url: unknown, more: object = {}) => ({ type: 'image_url', image_url: { url, ...more } });
const video = (url: unknown, more: object = {}) => ({ type: 'video_url', video_url: { url, ...more } });
const ask = (part: unknown) => postRerank(app.url, { query: 'q', documents: [[part]] });

describe('parts that are read', () => {
  test.each<[string, object, object]>([
    ['a picture', image('a.png'), image('a.png')],
    ['of a detail', image('a', { detail: 'high' }), image('a', { detail: 'high' })],
    ['of no detail', image('a', { detail: null }), image('a', { detail: null })],
    [
      'with a name of its kind',
      { ...image('a'), modalities: 'multi-images' },
      { ...image('a'), modalities: 'multi-images' },
    ],
    [
      'with patches',
      image('a', { max_dynamic_patch: '4', min_dynamic_patch: 1 }),
      image('a', { max_dynamic_patch: 4, min_dynamic_patch: 1 }),
    ],
    ['with keys that newer protocols have', { ...image('a', { content_hash: 'x' }), uuid: 1 }, image('a')],
    ['a clip', video('a.mp4'), video('a.mp4')],
    ['a clip of a speed', video('a', { fps: 2 }), video('a', { fps: 2 })],
    ['a clip of no speed', video('a', { fps: null }), video('a', { fps: null })],
    ['a clip as pictures', video(['a', 'b', 'a']), video(['a', 'b', 'a'])],
    ['of a speed', video(['a'], { fps: 0.25 }), video(['a'], { fps: 0.25 })],
    ['with keys that newer protocols have, of a clip', video('a', { max_frames: 9, max_image_tokens: 4 }), video('a')],
    ['an address of nothing, which a loader refuses', image(''), image('')],
  ])('%s', async (_, part, read) => {
    const response = await ask(part);
    expect(response.status, await response.clone().text()).toBe(200);
    expect(seen).toEqual(['q', [read]]);
  });

  test('stand in any order, in query and documents', async () => {
    const parts = [video(['a']), { type: 'text', text: 'x' }, image('b'), { type: 'text', text: '' }, video('c')];
    expect((await postRerank(app.url, { query: parts, documents: [parts, 'y', [image('b')]] })).status).toBe(200);
    expect(seen).toEqual([parts, parts, 'y', [image('b')]]);
  });

  test('come back as they were sent, when they are asked for', async () => {
    const parts = [{ ...video(['a', 'b'], { fps: 1, note: [] }), more: null }];
    const response = await postRerank(app.url, { query: 'q', documents: [parts], return_documents: true });
    expect(await response.json()).toMatchObject([{ document: parts }]);
  });
});

const where = 'body.documents[0][0]';
const list = 'Input should be a valid string or a list of pictures';

describe('parts that are refused', () => {
  test.each<[string, unknown, string]>([
    ['no address', video(undefined), `${where}.video_url.url: Field required`],
    ['an address that is null', video(null), `${where}.video_url.url: ${list}`],
    ['a number', video(5), `${where}.video_url.url: ${list}`],
    ['an object', video({ 0: 'a' }), `${where}.video_url.url: ${list}`],
    ['a list of nothing', video([]), `${where}.video_url.url: Value error, a clip needs at least one picture.`],
    ['a list with a number', video(['a', 5]), `${where}.video_url.url[1]: Input should be a valid string`],
    ['a list with a list', video([['a']]), `${where}.video_url.url[0]: Input should be a valid string`],
    ['a list of parts', video([image('a')]), `${where}.video_url.url[0]: Input should be a valid string`],
    ['pictures as a list', image(['a']), `${where}.image_url.url: Input should be a valid string`],
    ['no speed at all', video('a', { fps: 0 }), `${where}.video_url.fps: Value error, fps should be larger than 0.`],
    ['backwards', video(['a'], { fps: -1 }), `${where}.video_url.fps: Value error, fps should be larger than 0.`],
    ['a speed of text', video(['a'], { fps: '2' }), `${where}.video_url.fps: Input should be a valid number`],
    ['a speed that is true', video('a', { fps: true }), `${where}.video_url.fps: Input should be a valid number`],
    [
      'patches of text',
      video('a', { max_dynamic_patch: 'x' }),
      `${where}.video_url.max_dynamic_patch: Input should be`,
    ],
    ['a clip that is a string', { type: 'video_url', video_url: 'a' }, `${where}.video_url: `],
    ['no clip', { type: 'video_url' }, `${where}.video_url: `],
    ['a clip as a picture', { type: 'image_url', video_url: { url: 'a' } }, `${where}.image_url: `],
    ['short forms', { type: 'video', video: 'a' }, `${where}.type: Input should be a content part whose type is`],
  ])('%s', async (_, part, message) => {
    const response = await ask(part);
    const body = (await response.json()) as { message: string; type: string };
    expect(response.status).toBe(400);
    expect(body.type).toBe('Bad Request');
    expect(body.message).toContain(`1 validation error: ${message}`);
    expect(seen).toEqual([]);
  });

  test('a speed beyond all numbers', async () => {
    const body = '{"query":"q","documents":[[{"type":"video_url","video_url":{"url":["a"],"fps":1e400}}]]}';
    const response = await postRerank(app.url, body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { message: string }).message).toContain('.video_url.fps: ');
  });

  test.each([
    [video('x\0'), 'documents[0][0].video_url contains a NUL character (U+0000), which is not text'],
    [video(['a', 'x\0']), 'documents[0][0].video_url contains a NUL character (U+0000), which is not text'],
    [video(['a', '\ud800']), 'documents[0][0].video_url contains a lone surrogate, which is not valid Unicode'],
  ])('characters that are none: %j', async (part, message) => {
    const response = await ask(part);
    expect([response.status, ((await response.json()) as { message: string }).message]).toEqual([400, message]);
  });
});
