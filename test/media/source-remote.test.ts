import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { createSourceReader, type SourceReader } from '../../src/media/read-source-node.ts';
import { startTlsHost, type TlsHost } from './tls-host.ts';

let host: TlsHost;
beforeAll(async () => {
  host = await startTlsHost();
});
afterAll(() => host.close());

afterEach(async () => {
  // Whatever happened: no socket stays. The other side hears of it a moment later.
  for (let waited = 0; host.sockets.size > 0 && waited < 1000; waited += 10) await setTimeout(10);
  expect(host.sockets.size).toBe(0);
});

const read = async (reader: SourceReader, path = '/a.png', signal?: AbortSignal): Promise<string> =>
  Buffer.from(await reader.read(host.url(path), 'image', signal)).toString('latin1');

/** @returns `code: message` of a refusal */
const refusal = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => 'was read',
    (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
  );

describe('a listed host', () => {
  test('is asked plainly', async () => {
    host.handle();
    expect(await read(host.reader(), '/a%20b.png?size=large&x=1#part')).toBe('picture');
    expect(host.lookups).toEqual(['images.example.org']);
    const [request] = host.requests;
    expect(request?.url).toBe('/a%20b.png?size=large&x=1');
    expect(request?.headers).toEqual({
      host: `images.example.org:${host.port}`,
      accept: 'image/*, video/*',
      'accept-encoding': 'identity',
      'user-agent': 'wgrank',
      connection: 'close',
    });
  });

  test('is known in any spelling that the parser gives one name', async () => {
    host.handle();
    const reader = host.reader({ mediaAllow: ['x.example.org', `IMAGES.example.org:${host.port}`] });
    for (const name of ['IMAGES.EXAMPLE.ORG', 'ｉmages.example.org', 'images.example。org', '%69mages.example.org'])
      expect(Buffer.from(await reader.read(`https://${name}:${host.port}/`, 'video')).toString()).toBe('picture');
    expect(new Set(host.lookups)).toEqual(new Set(['images.example.org']));
  });

  test.each([
    ['https://user:pass@', '/'],
    ['https://user@', '/'],
    ['https://@', '/'],
    ['https://:@', '/'],
    ['https:', '/'],
    ['https:/', '/'],
    ['https:///', '/'],
    ['https:\\\\', '/'],
    ['https://', '\\a'],
    ['https://', '/a\\b'],
    [' https://', '/'],
    ['https://', '/ '],
    ['ht\ntps://', '/'],
    ['https://', '/\t'],
    ['https://', '/\r\nX: y'],
    ['https://', '/\0'],
    ['https://', '/\u0085'],
    ['https://', `/${'a'.repeat(2048)}`],
    ['http://', '/'],
  ])('is not asked for %j and its name and %j: other parsers would read that otherwise', async (before, after) => {
    host.handle();
    const url = `${before}images.example.org:${host.port}${after}`;
    expect(await refusal(host.reader().read(url, 'image'))).toMatch(/^media-refused/);
    expect([...host.lookups, ...host.requests]).toEqual([]);
  });

  test('may be an address, which is looked up nowhere', async () => {
    host.handle();
    const reader = host.reader({ mediaAllow: [`127.0.0.1:${host.port}`] });
    expect((await reader.read(`https://127.0.0.1:${host.port}/`, 'image')).length).toBe(7);
    expect(host.lookups).toEqual([]);
    expect(await refusal(read(reader))).toMatch(/^media-refused: .*--media-allow/);
  });

  test('is dialled at its other addresses when one does not answer', async () => {
    host.handle();
    const dialForTests = { treatAsPublic: ['127.0.0.1', '127.0.0.3', '::1'] };
    for (const addresses of [
      ['127.0.0.3', '127.0.0.1'],
      ['::1', '127.0.0.1'],
      ['127.0.0.1', '::1'],
    ]) {
      const lookup = () => Promise.resolve(addresses);
      expect(await read(host.reader({ dialForTests: { ...dialForTests, lookup } }))).toBe('picture');
    }
  });

  test.each([
    ['no entry', ['']],
    ['a scheme', ['https://images.example.org']],
    ['a path', ['images.example.org/a']],
    ['a user', ['user@images.example.org']],
    ['a wildcard', ['*.example.org']],
    ['white space', ['images.example.org ']],
    ['a list in one', ['a.example.org,b.example.org']],
    ['a dot at the end', ['images.example.org.']],
    ['a port that is none', ['images.example.org:99999']],
    ['loopback', ['127.0.0.1']],
    ['loopback as a number', ['2130706433:8080']],
    ['loopback in IPv6', ['[::1]']],
    ['a private address among others', ['images.example.org', '10.0.0.1']],
  ])('%s in the list is refused at the start', (_, mediaAllow) => {
    expect(() => createSourceReader({ mediaAllow })).toThrow(
      expect.objectContaining({ code: 'launch-refused', message: expect.stringContaining('--media-allow') as string }),
    );
  });

  test('may have a name in any script, and an address that is public', () => {
    expect(() =>
      createSourceReader({ mediaAllow: ['bücher.example', '1.1.1.1', '[2606:4700::1111]:444'] }),
    ).not.toThrow();
  });
});

describe('certificates', () => {
  test('of an unknown authority are refused, whatever the environment says', async () => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    for (const value of ['1', '0']) {
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = value;
      const reader = host.reader({ dialForTests: { ca: undefined } });
      host.handle();
      expect(await refusal(read(reader))).toBe(
        'media-unavailable: [media] it cannot be fetched: UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      );
      expect(host.requests.length).toBe(0);
    }
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
  });

  test('of another name are refused', async () => {
    host.handle();
    const reader = host.reader({ mediaAllow: [`other.example.org:${host.port}`] });
    expect(await refusal(reader.read(`https://other.example.org:${host.port}/`, 'image'))).toBe(
      'media-unavailable: [media] it cannot be fetched: ERR_TLS_CERT_ALTNAME_INVALID',
    );
    expect(host.requests.length).toBe(0);
  });
});

test('proxies of the environment are not asked', async () => {
  const names = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
  for (const name of names) process.env[name] = 'http://127.0.0.1:9';
  host.handle();
  expect(await read(host.reader())).toBe('picture');
  for (const name of names) delete process.env[name];
});

/** `/r0` leads to `/r1` and so on, `count` times. */
const redirecting = (count: number, status = 302): void =>
  host.handle(({ url }, response) => {
    const step = Number(url!.slice(2));
    if (step < count) response.writeHead(status, { location: ['/r', '../r', '?x=/../r'][step % 2]! + (step + 1) });
    response.end('picture');
  });

describe('redirects', () => {
  test.each([301, 302, 303, 307, 308])('%i is followed three times', async (status) => {
    redirecting(3, status);
    expect(await read(host.reader(), '/r0')).toBe('picture');
    expect(host.requests.map(({ url, method }) => `${method} ${url}`)).toEqual([
      'GET /r0',
      'GET /r1',
      'GET /r2',
      'GET /r3',
    ]);
    // Each hop is looked up again.
    expect(host.lookups.length).toBe(4);
  });

  test('are not followed a fourth time', async () => {
    redirecting(Infinity);
    expect(await refusal(read(host.reader(), '/r0'))).toBe(
      'media-unavailable: [media] the host redirects more than 3 times',
    );
    expect(host.requests.length).toBe(4);
  });

  test('lead to other hosts of the list only', async () => {
    host.handle(({ headers }, response) => {
      if (headers.host!.startsWith('images'))
        response.writeHead(302, { location: `https://cdn.example.org:${host.port}/` });
      response.end('picture');
    });
    expect(await refusal(read(host.reader()))).toMatch(/^media-refused: .*"cdn.example.org:\d+" \(--media-allow/);
    const both = [`images.example.org:${host.port}`, `cdn.example.org:${host.port}`];
    expect(await read(host.reader({ mediaAllow: both }))).toBe('picture');
    expect(host.lookups).toEqual(['images.example.org', 'images.example.org', 'cdn.example.org']);
  });
});
