import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccessOptions } from '../../src/server/access.ts';
import { hostName } from '../../src/server/host-check.ts';
import { ask, say, startGuarded, type GuardedApp } from './guarded-app.ts';

const listed = 'https://app.example.com';
/** PORT is the server's own. */
const hosts = ['localhost:PORT', '127.0.0.1:PORT', '[::1]:PORT', 'rank.internal', 'evil.example:PORT'];
const origins = [
  undefined,
  'http://localhost:PORT',
  'http://127.0.0.1:PORT',
  'http://[::1]:PORT',
  'http://rank.internal',
  'https://rank.internal',
  listed,
  'http://localhost:3000',
  'http://evil.example:PORT',
  'null',
];

/** Scorecard row 30: what a server on loopback without a key answers; columns are the hosts above. */
const table: readonly (readonly number[])[] = [
  /* no Origin        */ [200, 200, 200, 200, 403],
  /* localhost        */ [200, 403, 403, 403, 403],
  /* 127.0.0.1        */ [403, 200, 403, 403, 403],
  /* ::1              */ [403, 403, 200, 403, 403],
  /* rank.internal    */ [403, 403, 403, 200, 403],
  /* … over TLS       */ [403, 403, 403, 200, 403],
  /* listed           */ [200, 200, 200, 200, 403],
  /* another port     */ [403, 403, 403, 403, 403],
  /* rebound name     */ [403, 403, 403, 403, 403],
  /* opaque           */ [403, 403, 403, 403, 403],
];
const combinations = origins.flatMap((origin, o) => hosts.map((host, h) => ({ origin, host, status: table[o]![h]! })));

async function askAs(app: GuardedApp, origin: string | undefined, host: string, method: string, more = {}) {
  const own = (text: string) => text.replace('PORT', new URL(app.url).port);
  const headers = { host: own(host), ...(origin !== undefined && { origin: own(origin) }), ...more };
  return ask(app, '/v1/rerank', { method, headers });
}

const preflight = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type,x-client-name',
};

describe('a browser cannot be the attacker', () => {
  let app: GuardedApp;
  const rule: Partial<AccessOptions> = { allowedHosts: ['Rank.internal'], corsOrigins: [listed] };
  beforeAll(async () => void (app = await startGuarded(rule)));
  afterAll(() => app.close());

  test('the table has 50 combinations', () => expect(combinations).toHaveLength(50));

  test.each(combinations)('Origin $origin to Host $host: $status', async ({ origin, host, status }) => {
    const { status: answered, headers, text } = await askAs(app, origin, host, 'POST');
    expect(answered).toBe(status);
    expect(text.includes('secret')).toBe(status === 200);
    expect(headers['access-control-allow-origin']).toBe(status === 200 && origin === listed ? listed : undefined);
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
    expect(headers.vary).toBe(host.startsWith('evil') ? undefined : 'Origin');
  });

  test.each(combinations)('the preflight of it', async ({ origin, host, status }) => {
    const { status: answered, headers, text } = await askAs(app, origin, host, 'OPTIONS', preflight);
    if (status === 200 && origin === listed) {
      expect(answered).toBe(204);
      expect(headers).toMatchObject({
        'access-control-allow-origin': listed,
        'access-control-allow-methods': 'GET, HEAD, POST, PUT',
        'access-control-allow-headers': 'authorization,content-type,x-client-name',
        'access-control-max-age': '600',
        vary: 'Origin, Access-Control-Request-Headers',
      });
      expect(text).toBe('');
      return;
    }
    expect(answered).toBe(status);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('by default', () => {
  test('no answer has a CORS header, whatever the Origin, with a key and without', async () => {
    for (const apiKeys of [[], ['k']]) {
      const app = await startGuarded({ apiKeys });
      for (const origin of origins)
        for (const method of ['GET', 'POST', 'OPTIONS']) {
          const { headers } = await askAs(app, origin, '127.0.0.1:PORT', method, { 'x-api-key': 'k', ...preflight });
          expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
        }
      app.close();
    }
  });
});

describe('with a key', () => {
  test('the key decides, and preflights of listed origins need none', async () => {
    const app = await startGuarded({ apiKeys: ['k'], corsOrigins: [listed] });
    const host = '127.0.0.1:PORT';
    expect((await askAs(app, 'http://evil.example', host, 'POST')).status).toBe(401);
    expect((await askAs(app, 'app://desktop', host, 'POST', { 'x-api-key': 'k' })).status).toBe(200);
    expect((await askAs(app, 'http://evil.example', host, 'OPTIONS', preflight)).status).toBe(401);
    expect((await askAs(app, listed, host, 'OPTIONS', preflight)).status).toBe(204);
    expect((await askAs(app, listed, host, 'OPTIONS')).status).toBe(401);
    const refused = await askAs(app, listed, host, 'POST');
    // The page may read why.
    expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, listed]);
    expect((await askAs(app, 'http://evil.example', 'evil.example', 'POST', { 'x-api-key': 'k' })).status).toBe(403);
    app.close();
  });

  test('preflights from public to private addresses; lists of headers that are none are not repeated', async () => {
    const app = await startGuarded({ corsOrigins: [listed] });
    const strange = {
      ...preflight,
      'access-control-request-headers': 'x y',
      'access-control-request-private-network': 'true',
    };
    const { status, headers } = await askAs(app, listed, 'localhost', 'OPTIONS', strange);
    expect(status).toBe(204);
    expect(headers['access-control-allow-private-network']).toBe('true');
    expect(headers).not.toHaveProperty('access-control-allow-headers');
    app.close();
  });
});

describe('Host', () => {
  test('is checked on addresses that others reach only when the operator lists names, and addresses prove themselves', async () => {
    const open = await startGuarded({ host: '0.0.0.0' });
    expect((await askAs(open, undefined, 'any.example', 'POST')).status).toBe(200);
    open.close();
    const named = await startGuarded({ host: '0.0.0.0', allowedHosts: ['rank.internal'] });
    for (const [host, status] of [
      ['rank.internal:1', 200],
      ['RANK.INTERNAL', 200],
      ['10.1.2.3:30000', 200],
      ['[fd00::1]', 200],
      ['localhost', 200],
      ['any.example', 403],
    ] as const)
      expect([(await askAs(named, undefined, host, 'POST')).status, host]).toEqual([status, host]);
    named.close();
  });

  test.each([
    ['GET /x HTTP/1.1\r\n', 400],
    ['GET /x HTTP/1.0\r\n', 200],
    ['GET /x HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n', 400],
    ['GET /x HTTP/1.1\r\nHost: localhost\r\nhOST: localhost\r\n', 400],
    ['GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\n', 403],
    ['GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\n', 200],
    ['GET http://localhost@evil.example/x HTTP/1.1\r\nHost: localhost\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost:\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: localhost.evil.example\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: localhost:99999999\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: localhost evil\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: 127.1.2.3\r\n', 200],
    ['GET /x HTTP/1.1\r\nHost: 0x7f.1\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: [::1%25lo]\r\n', 403],
    ['GET /x HTTP/1.1\r\nHost: LOCALHOST\r\n', 200],
  ])('%j: %i', async (head, status) => {
    const app = await startGuarded();
    expect(await say(app, `${head}Connection: close\r\n\r\n`)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    app.close();
  });

  test.each([
    ['Example.com', 'example.com'],
    ['example.com:80', 'example.com'],
    ['[::1]:80', '::1'],
    ['::1', undefined],
    ['[::1', undefined],
    ['a:b', undefined],
    ['', undefined],
    ['a/b', undefined],
    ['a@b', undefined],
  ])('the name in %j is %s', (authority, name) => expect(hostName(authority)).toBe(name));
});
