import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRequestEncoder as createEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { spawnEngine } from '../../src/server/engine-process.ts';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { pictures, vlModel } from '../support/vl-requests.ts';
import { post } from './dialects.ts';
import { say } from './guarded-app.ts';
import { serveOne } from './serve-one.ts';

/** Every limit is exact: one below, the limit, and one above, over the whole path with nothing faked. */
const maxBodyBytes = 200_000;
const maxDocuments = 7;
const maxLength = 64;
const parts = { createEncoder, spawnEngine, createReranker };
const folder = mkdtempSync(path.join(tmpdir(), 'wgrank-limits-'));
let server: RunningServer;
beforeAll(async () => {
  server = await serveOne(
    {
      modelDir: new URL('../../weights/tiny-bge-reranker', import.meta.url).pathname,
      model: 'tiny-bge-reranker',
      kind: 'cross-encoder',
      architecture: 'XLMRobertaForSequenceClassification',
      maxLength,
      truncate: false,
      maxBodyBytes,
      maxDocuments,
      tokenizerWorkers: 1,
    },
    parts,
  );
  await server.ready;
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const rerank = (body: unknown, url = server.url) => post(`${url}/v1/rerank`, body);
const around = (limit: number, refused: number): [number, number][] => [
  [limit - 1, 200],
  [limit, 200],
  [limit + 1, refused],
];

// JSON may end in white space: a short text in a long body.
const bodyOf = (size: number) => JSON.stringify({ query: 'q', documents: ['a'] }).padEnd(size);
const withExtra = (extra: string) => `{"query":"q","documents":["a"],"extra":${extra}}`;
const pairOf = (words: number) => ({ query: 'q', documents: [Array.from({ length: words }, () => 'a').join(' ')] });
const statusOf = (line: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(line)?.[1]);

describe('bodies', () => {
  test.each(around(maxBodyBytes, 413))('%i bytes: %i', async (size, status) => {
    expect((await rerank(bodyOf(size))).status).toBe(status);
  });

  const encoders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
  const encoded = Object.keys(encoders) as (keyof typeof encoders)[];
  test.each(encoded.flatMap((name) => around(maxBodyBytes, 413).map((row) => [name, ...row] as const)))(
    '%s of %i bytes: %i',
    async (name, size, status) => {
      const response = await fetch(`${server.url}/v1/rerank`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-encoding': name },
        body: encoders[name](bodyOf(size)),
      });
      expect(response.status).toBe(status);
    },
  );

  test.each(around(maxBodyBytes, 413))('%i bytes in chunks: %i', async (size, status) => {
    const response = await fetch(`${server.url}/v1/rerank`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([bodyOf(size)]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(status);
  });
});

describe('JSON', () => {
  test.each(around(32, 400))('%i levels: %i', async (levels, status) => {
    expect((await rerank(withExtra('['.repeat(levels - 1) + ']'.repeat(levels - 1)))).status).toBe(status);
  });

  // Three keys are the frame's own.
  test.each(around(10_000, 400))('%i keys: %i', async (keys, status) => {
    const extra = `{${Array.from({ length: keys - 3 }, (_, i) => `"${i}":0`).join()}}`;
    expect((await rerank(withExtra(extra))).status).toBe(status);
  });

  // A comma stands between two values: two are the frame's own, and one value has none.
  test.each(around(50_000, 400))('%i values: %i', async (values, status) => {
    expect((await rerank(withExtra(`[${'0,'.repeat(values - 3)}0]`))).status).toBe(status);
  });
});

describe('requests', () => {
  const routes: [path: string, field: string, body: object, refused: number][] = [
    ['/v1/rerank', 'documents', { query: 'q' }, 400],
    ['/v2/rerank', 'documents', { query: 'q' }, 400],
    ['/rerank', 'documents', { query: 'q' }, 400],
    ['/cohere/v1/rerank', 'documents', { query: 'q' }, 400],
    ['/voyage/v1/rerank', 'documents', { query: 'q' }, 400],
    ['/vllm/rerank', 'documents', { query: 'q' }, 400],
    ['/tei/rerank', 'texts', { query: 'q' }, 422],
    ['/v1/ranking', 'passages', { query: { text: 'q' } }, 400],
    ['/score', 'text_2', { text_1: 'q' }, 400],
    ['/v1/score', 'documents', { queries: 'q' }, 400],
  ];
  test.each(routes.flatMap(([...route]) => around(maxDocuments, route[3]).map((row) => [...row, ...route] as const)))(
    '%i documents: %i at %s',
    async (count, status, route, field, body) => {
      const sent = Array.from({ length: count }, () => (field === 'passages' ? { text: 'a' } : 'a'));
      expect((await post(server.url + route, { ...body, [field]: sent })).status).toBe(status);
    },
  );

  test.each([
    [-1, 400, 0],
    [0, 400, 0],
    [1, 200, 1],
    [2, 200, 2],
    [3, 200, 3],
    [4, 200, 3],
    [2 ** 53, 200, 3],
  ])('top_n %i of 3 documents: %i with %i', async (topN, status, count) => {
    const { status: was, body } = await rerank({ query: 'q', documents: ['a', 'b', 'c'], top_n: topN });
    expect([was, was === 200 ? body.length : 0]).toEqual([status, count]);
  });

  test('top_n 0 is all where the wire format has it so', async () => {
    const { body } = await post(`${server.url}/v2/rerank`, { query: 'q', documents: ['a', 'b', 'c'], top_n: 0 });
    expect(body.results).toHaveLength(3);
  });
});

// SGLang refuses a pair of exactly the model's length, too.
describe('tokens of a pair that is not cut', () => {
  const tokensOf = async (words: number): Promise<number> =>
    ((await rerank(pairOf(words))).body as RerankAnswerItem[])[0]!.meta_info.prompt_tokens;

  test.each(around(maxLength - 1, 400))('%i tokens: %i', async (tokens, status) => {
    const few = await tokensOf(1);
    expect(await tokensOf(2)).toBe(few + 1);
    const { status: was, body } = await rerank(pairOf(1 + tokens - few));
    expect(was).toBe(status);
    if (status === 200) expect(body[0].meta_info.prompt_tokens).toBe(tokens);
  });

  test.each(around(maxLength - 1, 422))('%i tokens with TEI: %i', async (tokens, status) => {
    const { query, documents } = pairOf(1 + tokens - (await tokensOf(1)));
    expect((await post(`${server.url}/tei/rerank`, { query, texts: documents })).status).toBe(status);
  });
});

/** Node counts the characters of the address and of header names and values; the limit is not reached. */
describe('headers and address', () => {
  const limit = 16 * 1024 - 1;
  const rest = 'HostlocalhostConnectioncloseX'.length + '/version'.length;

  test.each(around(limit, 431))('%i characters, most of them a header’s: %i', async (size, expected) => {
    const head = `GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ${'x'.repeat(size - rest)}\r\n\r\n`;
    expect(statusOf(await say(server, head))).toBe(expected);
  });

  test.each(around(limit, 431))('%i characters, most of them the address’s: %i', async (size, expected) => {
    const query = 'x'.repeat(size - rest);
    const head = `GET /version?${query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    expect(statusOf(await say(server, head))).toBe(expected);
  });
});

describe('pictures', () => {
  const fixture = 'one-bit.png';
  const fileBytes = statSync(path.join(pictures, fixture)).size;
  let seeing: RunningServer;
  beforeAll(async () => {
    copyFileSync(path.join(pictures, fixture), path.join(folder, 'picture.png'));
    const create = { channels: 3, background: '#123456' } as const;
    for (const width of [7679, 7680, 7681]) {
      const file = path.join(folder, `${width}.png`);
      await sharp({ create: { width, height: 4320, ...create } })
        .png({ compressionLevel: 1 })
        .toFile(file);
    }
    for (const more of [-1, 0, 1]) {
      const bytes = Buffer.alloc(pictureBytes + more);
      readFileSync(path.join(folder, 'picture.png')).copy(bytes);
      writeFileSync(path.join(folder, `bytes${more}.png`), bytes);
    }
    seeing = await serveOne(
      {
        modelDir: vlModel,
        model: 'tiny-qwen3-vl-reranker',
        kind: 'vl-decoder',
        architecture: 'Qwen3VLForConditionalGeneration',
        maxLength: 10_240,
        truncate: true,
        tokenizerWorkers: 1,
        media: { mediaRoot: folder, maxBytes: { image: pictureBytes } },
      },
      parts,
    );
    await seeing.ready;
  });
  afterAll(() => seeing.close());
  const pictureBytes = 2 ** 20;

  const see = (...urls: string[]) =>
    rerank({ query: 'q', documents: [urls.map((url) => ({ type: 'image_url', image_url: { url } }))] }, seeing.url);

  test('the fixture is smaller than the limit', () => expect(fileBytes).toBeLessThan(pictureBytes - 1));

  test.each([
    [-1, 200],
    [0, 200],
    [1, 400],
  ])('bytes: the limit and %i: %i', async (more, status) => {
    const { status: was, body } = await see(`bytes${more}.png`);
    expect(was).toBe(status);
    if (status === 400)
      expect(body.message).toMatch(/1048577 bytes \(at most 1048576: --max-image-bytes\)|more than 1048576/);
  });

  test.each([
    [7679, 200],
    [7680, 200],
    [7681, 400],
  ])('%i x 4320 pixels: %i', async (width, status) => {
    const { status: was, body } = await see(`${width}.png`);
    expect(was, JSON.stringify(body)).toBe(status);
    if (status === 400) expect(body.message).toContain('at most 33177600');
  });

  test.each(around(2048, 400))('an address of %i characters: %i', async (length, status) => {
    // Slashes that mean nothing make it as long as that.
    const { status: was, body } = await see(`.${'/'.repeat(length - 1 - 'picture.png'.length)}picture.png`);
    expect(was, JSON.stringify(body)).toBe(status);
    if (status === 400) expect(body.message).toContain('2049 characters (at most 2048');
  });
});
