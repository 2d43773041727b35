import crypto from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { ask, guardedRoutes, say, startGuarded, type GuardedApp } from './guarded-app.ts';

const compared = vi.hoisted(() => [] as [number, number][]);
vi.mock('node:crypto', async (load) => {
  const real = await load<typeof crypto>();
  const timingSafeEqual: typeof crypto.timingSafeEqual = (a, b) => {
    compared.push([a.byteLength, b.byteLength]);
    return real.timingSafeEqual(a, b);
  };
  return { ...real, timingSafeEqual };
});

const key = 'sk-Correct.Horse/Battery+Staple=1';
const other = 'second-key';
const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

describe('every route needs a key', () => {
  let app: GuardedApp;
  beforeAll(async () => void (app = await startGuarded({ apiKeys: [key, other] })));
  afterAll(() => app.close());

  const badKeys: [string, Record<string, string>][] = [
    ['none', {}],
    ['empty', { authorization: '' }],
    ['a prefix of it', bearer(key.slice(0, -1))],
    ['more than it', bearer(`${key}x`)],
    ['in another case', bearer(key.toLowerCase())],
    ['with a letter beyond ASCII', bearer(key.replace('o', '\u00f6'))],
    ['under another scheme', { authorization: `Basic ${Buffer.from(`:${key}`).toString('base64')}` }],
    ['of 8 KiB', { 'x-api-key': key.repeat(248) }],
  ];

  for (const [name, headers] of badKeys) {
    test(`a bad key: ${name}`, async () => {
      for (const [method, path] of guardedRoutes) {
        const { status, headers: answered, text } = await ask(app, path, { method, headers });
        const where = `${method} ${path}`;
        expect([status, where]).toEqual([401, where]);
        expect(answered['www-authenticate']).toBe('Bearer');
        if (method !== 'HEAD')
          expect(JSON.parse(text)).toEqual({
            object: 'error',
            message: 'A valid API key is needed: Authorization: Bearer KEY',
            type: 'Unauthorized',
            param: null,
            code: 401,
          });
      }
    });
  }

  test('a key of 1 MB is not even read', async () => {
    const line = await say(
      app,
      `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nx-api-key: ${'k'.repeat(1 << 20)}\r\n\r\n`,
    );
    expect(line).toBe('HTTP/1.1 431 Request Header Fields Too Large');
  });

  test.each([
    ['Bearer', bearer(key)],
    ['bearer in small letters', { authorization: `bearer ${key}` }],
    ['another key', bearer(other)],
    ['x-api-key', { 'x-api-key': key }],
    ['x-api-key beside an empty Authorization', { 'x-api-key': key, authorization: '' }],
  ])('a good key: %s', async (_name, headers) => {
    for (const [method, path] of guardedRoutes) expect((await ask(app, path, { method, headers })).status).toBe(200);
  });

  test('public are GET and HEAD of /health and /ready alone', async () => {
    for (const path of ['/health', '/ready', '/health?deep=1']) {
      expect((await ask(app, path)).status).toBe(200);
      expect((await ask(app, path, { method: 'HEAD' })).status).toBe(200);
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
        expect((await ask(app, path, { method })).status).toBe(401);
    }
    for (const path of ['/healthy', '/health/..', '/ready%00', '/%68ealth', '/v1/../health', '/health;x'])
      expect([(await ask(app, path)).status, path]).toEqual([401, path]);
  });

  test('a body that came without a key is not read to its end', async () => {
    const headers = { 'content-length': '100000000', 'content-type': 'application/json' };
    const socketAnswer = await say(
      app,
      `POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\n${Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n{`,
    );
    expect(socketAnswer).toBe('HTTP/1.1 401 Unauthorized');
  });
});

describe('keys', () => {
  afterEach(() => void (compared.length = 0));

  test('are compared as digests of one length, all of them, whichever fits', () => {
    const keys = new ApiKeys(['first', 'second', 'third']);
    for (const [candidate, found] of [
      ['first', 0],
      ['third', 2],
      ['', undefined],
      ['f', undefined],
      ['x'.repeat(1000), undefined],
    ] as const) {
      compared.length = 0;
      expect(keys.find(candidate)).toBe(found);
      expect(compared).toEqual([
        [32, 32],
        [32, 32],
        [32, 32],
      ]);
    }
  });

  test('cannot be seen in what holds them', () => {
    const keys = new ApiKeys([key]);
    const seen = inspect(keys, { depth: 9, showHidden: true }) + JSON.stringify(keys) + String(keys);
    expect(seen).not.toContain(key);
    expect(seen).not.toContain(crypto.createHash('sha256').update(key).digest('hex').slice(0, 8));
  });

  test('a server with keys can ask itself, one without needs none', () => {
    const keys = new ApiKeys(['first']);
    const own = keys.issue();
    expect([keys.find(own!), keys.find('first'), own?.length]).toEqual([1, 0, 64]);
    const none = new ApiKeys([]);
    expect([none.issue(), none.count]).toEqual([undefined, 0]);
  });
});

describe('headers of every answer', () => {
  test.each(['/health', '/docs', '/v1/nothing'])('%s', async (path) => {
    const app = await startGuarded();
    const { headers } = await ask(app, path);
    expect(headers['content-security-policy']).toBe(
      "default-src 'none';script-src 'self';style-src 'self' 'unsafe-inline';img-src 'self' data:;font-src 'self' data:;" +
        "connect-src 'self';form-action 'none';base-uri 'none';frame-ancestors 'none'",
    );
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers).not.toHaveProperty('strict-transport-security');
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    app.close();
  });
});
