import { connect } from 'node:net';
import { once } from 'node:events';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFakeReranker, postRerank, startApp, type RunningApp } from './fake-reranker.ts';

const limit = 4096;
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(createFakeReranker(), { maxBodyBytes: limit });
});
afterAll(() => app.close());

/** A valid request of exactly `size` bytes. */
function bodyOf(size: number): string {
  const frame = JSON.stringify({ query: 'q', documents: [''] });
  return frame.replace('""', `"${'a'.repeat(size - frame.length)}"`);
}

const tooLarge = {
  object: 'error',
  message: 'the request body exceeds 4096 bytes (raise the limit with --max-body-bytes)',
  type: 'Payload Too Large',
  param: null,
  code: 413,
};

describe('bytes', () => {
  test.each([
    [limit - 1, 200],
    [limit, 200],
    [limit + 1, 413],
    [50 * limit, 413],
  ])('%i bytes: %i', async (size, status) => {
    const response = await postRerank(app.url, bodyOf(size));
    expect(response.status).toBe(status);
    if (status === 413) expect(await response.json()).toEqual(tooLarge);
  });

  test.each([
    [limit, 200],
    [limit + 1, 413],
  ])('%i bytes without an announced length: %i', async (size, status) => {
    const body = new Blob([bodyOf(size)]).stream();
    const response = await postRerank(app.url, body, { duplex: 'half' } as RequestInit);
    expect(response.status).toBe(status);
    if (status === 413) expect(await response.json()).toEqual(tooLarge);
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('%s counts after decompression', async (encoding, compress) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const send = (size: number) => postRerank(app.url, compress(bodyOf(size)), { headers });
    expect((await send(limit)).status).toBe(200);
    const refused = await send(1000 * limit);
    expect(refused.status).toBe(413);
    expect(await refused.json()).toEqual(tooLarge);
  });

  test.each([
    ['gzip', 400],
    ['snappy', 415],
  ])('content-encoding %s around something else: %i', async (encoding, status) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    const response = await postRerank(app.url, bodyOf(100), { headers });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ object: 'error', param: null, code: status });
  });

  test('an announced size is refused before the body arrives', async () => {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
    socket.write(
      'POST /v1/rerank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  test('the default is 16 MiB', async () => {
    const other = await startApp(createFakeReranker());
    expect((await postRerank(other.url, bodyOf(16 * 2 ** 20))).status).toBe(200);
    expect((await postRerank(other.url, bodyOf(16 * 2 ** 20 + 1))).status).toBe(413);
    await other.close();
  });
});

const withExtra = (extra: string) => `{"query":"q","documents":["a"],"extra":${extra}}`;
// Three keys and two commas are the frame's own.
const keys = (count: number) => `{${Array.from({ length: count - 3 }, (_, i) => `"${i}":0`).join(',')}}`;
const depth = (levels: number) => '['.repeat(levels - 1) + ']'.repeat(levels - 1);

describe('JSON work', () => {
  let roomy: RunningApp;
  beforeAll(async () => {
    roomy = await startApp(createFakeReranker());
  });
  afterAll(() => roomy.close());

  test.each([
    ['32 levels', depth(32), 200, undefined],
    ['33 levels', depth(33), 400, 'the JSON is nested deeper than 32 levels'],
    ['a million levels', depth(1_000_000), 400, 'the JSON is nested deeper than 32 levels'],
    ['10,000 keys', keys(10_000), 200, undefined],
    ['10,001 keys', keys(10_001), 400, 'the JSON holds more than 10000 object keys'],
    ['49,998 numbers', `[${'0,'.repeat(49_996)}0]`, 200, undefined],
    ['50,000 numbers', `[${'0,'.repeat(49_999)}0]`, 400, 'the JSON holds more than 50000 values'],
    ['brackets, colons and commas inside strings', JSON.stringify('[{:,}]"\\'.repeat(20_000)), 200, undefined],
  ])('%s', async (_, extra, status, message) => {
    const response = await postRerank(roomy.url, withExtra(extra));
    expect(response.status).toBe(status);
    if (message !== undefined) {
      expect(await response.json()).toMatchObject({
        type: 'Bad Request',
        message: `1 validation error: body: ${message}`,
      });
    }
  });
});
