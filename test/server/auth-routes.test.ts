import type { Express } from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { createApp } from '../../src/server/app.ts';
import { dialectNames } from '../../src/server/dialects/dialect.ts';
import { createMetricsApp } from '../../src/server/metrics-app.ts';
import { ServerMetrics } from '../../src/server/metrics.ts';
import { createFakeReranker } from './fake-reranker.ts';
import { ask, listen, say, type GuardedApp } from './guarded-app.ts';

const key = 'sk-Correct.Horse/Battery+Staple=1';
const access = { host: '127.0.0.1', keys: new ApiKeys([key]) };
const metrics = new ServerMetrics({ models: () => [], version: '0' });

/** The real routes; a new one is among them by itself. */
const express = createApp(createFakeReranker({ kind: 'text-decoder', scoringTokens: { yes: 1, no: 2 } }), {
  before: guardAccess(access),
  metrics: metrics.show(),
});

interface Asked {
  readonly method: string;
  readonly path: string;
}

/** Every path that the router holds by every method that answers there, and one that does not. */
function walk(app: Express): Asked[] {
  return app.router.stack.flatMap(({ route }) => {
    if (route === undefined) return [];
    const path = route.path.replace('*id', 'some/model').replace(':file', 'swagger-ui.css');
    const methods = route.stack.flatMap(({ method }) => (method === undefined ? [] : [method.toUpperCase()]));
    return [...new Set([...methods, 'HEAD', 'OPTIONS', 'DELETE'])].map((method) => ({ method, path }));
  });
}

const plain = walk(express);
const prefixed = dialectNames.flatMap((name) => plain.map(({ method, path }) => ({ method, path: `/${name}${path}` })));
const beside = ['/', '/no/such/route', '/v1', '/v1/', '/docs/', '/docs/../docs', '/%76ersion', '//version', '/VERSION'];
const others = beside.flatMap((path) => ['GET', 'POST'].map((method) => ({ method, path })));
const asked = [...plain, ...prefixed, ...others];

/** All that is answered without a key. An operator reads of these in README.md: a route more is a decision. */
const open = ['GET /health', 'GET /ready', 'HEAD /health', 'HEAD /ready'];
const nameOf = ({ method, path }: Asked) => `${method} ${path}`;
const closed = asked.filter((one) => !open.includes(nameOf(one)));

const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
const badKeys: readonly (readonly [string, Record<string, string>])[] = [
  ['none', {}],
  ['empty', bearer('')],
  ['a prefix of it', bearer(key.slice(0, -1))],
  ['more than it', bearer(`${key}x`)],
  ['in another case', bearer(key.toUpperCase())],
  ['with a letter beyond ASCII', { 'x-api-key': key.replace('o', '\u00f6') }],
  ['under another scheme', { authorization: `Basic ${Buffer.from(`:${key}`).toString('base64')}` }],
  ['of 8 KiB', { 'x-api-key': key.repeat(248) }],
];

describe('auth covers every route', () => {
  let app: GuardedApp;
  beforeAll(async () => void (app = await listen(express)));
  afterAll(() => {
    app.close();
    metrics.close();
  });

  test('the walk finds the routes', () => {
    expect(asked.length).toBeGreaterThan(500);
    for (const name of ['POST /v1/rerank', 'PUT /v1/rerank', 'GET /metrics', 'GET /docs', 'POST /tei/rerank', ...open])
      expect(asked.map(nameOf)).toContain(name);
  });

  test('public are GET and HEAD of /health and /ready, and nothing else', async () => {
    const answered: string[] = [];
    for (const one of asked) if ((await ask(app, one.path, one)).status !== 401) answered.push(nameOf(one));
    expect(answered.toSorted()).toEqual(open);
  });

  test.each(badKeys)('a bad key, %s: 401 on each', async (_name, headers) => {
    for (const one of closed) {
      const { status, headers: answer, text } = await ask(app, one.path, { method: one.method, headers });
      expect([nameOf(one), status, answer['www-authenticate']]).toEqual([nameOf(one), 401, 'Bearer']);
      expect(text).not.toContain(key.slice(3, 12));
    }
  });

  test('a bad key of 1 MB is refused before it is read to its end', async () => {
    for (const { method, path } of plain)
      expect(
        await say(app, `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: ${'k'.repeat(2 ** 20)}\r\n\r\n`),
      ).toBe('HTTP/1.1 431 Request Header Fields Too Large');
  });

  test('the good key opens every one', async () => {
    for (const one of closed) {
      const { status } = await ask(app, one.path, { method: one.method, headers: bearer(key) });
      expect(status, nameOf(one)).not.toBe(401);
    }
  });

  test('metrics on a port of their own need the key, too', async () => {
    const app = createMetricsApp(metrics, access, () => undefined);
    const running = await listen(app);
    for (const one of [...walk(app), ...others])
      for (const [, headers] of badKeys) {
        const { status } = await ask(running, one.path, { method: one.method, headers });
        expect([nameOf(one), status]).toEqual([nameOf(one), 401]);
      }
    expect((await ask(running, '/metrics', { headers: bearer(key) })).status).toBe(200);
    running.close();
  });
});
