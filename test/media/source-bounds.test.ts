import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { createSourceReader, type SourceReader } from '../../src/media/read-source-node.ts';
import { createDnsLookup } from '../../src/media/resolve-host-node.ts';
import { startDnsServer } from './dns-server.ts';
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

describe('answers', () => {
  test.each([201, 203, 204, 206, 300, 304, 305, 400, 401, 404, 407, 500, 503])(
    '%i is not a picture',
    async (status) => {
      host.handle((_, response) => response.writeHead(status).end('secret'));
      expect(await refusal(read(host.reader()))).toBe(`media-unavailable: [media] the host answers ${status}`);
    },
  );

  test.each(['gzip', 'br', 'deflate', 'x-bomb'])('%s is not unpacked', async (encoding) => {
    const bomb = gzipSync(Buffer.alloc(1e6));
    host.handle((_, response) => response.writeHead(200, { 'content-encoding': encoding }).end(bomb));
    expect(await refusal(read(host.reader()))).toMatch(/^media-unavailable: .*compressed/);
  });

  test('without a byte are named', async () => {
    host.handle((_, response) => response.end());
    expect(await refusal(read(host.reader()))).toBe('media-invalid: [media] the picture has 0 bytes');
  });

  test('that end early are not taken', async () => {
    host.handle((_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half');
      response.socket!.end();
    });
    expect(await refusal(read(host.reader()))).toMatch(/^media-unavailable: .*ECONNRESET/);
  });

  test('longer than announced are not taken', async () => {
    host.handle(({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npicture and more'));
    expect(await refusal(read(host.reader()))).toMatch(/^media-unavailable: .*HPE_[A-Z_]+$/);
  });

  test.each([
    ['that are no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['with two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\npictu'],
    ['with endless headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1e6)}\r\n\r\n`],
    ['that change the protocol', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ])('%s are refused by Node’s code', async (_, text) => {
    host.handle(({ socket }) => socket.write(text));
    expect(await refusal(read(host.reader({ remoteTimeoutMs: 2000 })))).toMatch(
      /^media-unavailable: \[media\] it cannot be fetched: [A-Z_]+$/,
    );
  });
});

describe('bytes', () => {
  const cap = 100_000;
  const message = `has more than ${cap} bytes (at most ${cap}: --max-remote-bytes)`;

  test('announced above the limit are not waited for', async () => {
    host.handle((_, response) => response.writeHead(200, { 'content-length': cap + 1 }).write('x'));
    expect(await refusal(read(host.reader({ maxRemoteBytes: cap })))).toBe(
      `media-too-large: [media] the picture has ${cap + 1} bytes (at most ${cap}: --max-remote-bytes)`,
    );
  });

  test.each([cap - 1, cap, cap + 1])('%i, not announced', async (count) => {
    host.handle((_, response) => {
      response.write('x');
      response.end('x'.repeat(count - 1));
    });
    const reader = host.reader({ maxRemoteBytes: cap });
    if (count <= cap) expect((await read(reader)).length).toBe(count);
    else expect(await refusal(read(reader))).toContain(`media-too-large: [media] the picture ${message}`);
  });

  test('without end stop the connection', async () => {
    let closed: Promise<unknown> | undefined;
    host.handle(({ socket }, response) => {
      closed = once(socket, 'close');
      const pour = (): void => {
        while (response.writable && !socket.destroyed && response.write(Buffer.alloc(16_384)));
      };
      response.on('drain', pour).on('error', () => undefined);
      pour();
    });
    const before = process.memoryUsage().arrayBuffers;
    expect(await refusal(read(host.reader({ maxRemoteBytes: cap })))).toContain(message);
    await closed;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 25);
  });

  test('the lower limit holds, and names its option', async () => {
    host.handle((_, response) => response.end('x'.repeat(50)));
    const reader = host.reader({ maxRemoteBytes: cap, maxBytes: { image: 49, video: 50 } });
    expect(await refusal(read(reader))).toContain('--max-image-bytes');
    expect((await reader.read(host.url('/'), 'video')).length).toBe(50);
  });

  test('are at most 10 MiB by default', async () => {
    host.handle((_, response) => response.writeHead(200, { 'content-length': 10 * 2 ** 20 + 1 }).write('x'));
    expect(await refusal(host.reader().read(host.url('/'), 'video'))).toContain('at most 10485760');
  });
});

/** A DNS that never answers. */
const silence = () => new Promise<never>(() => undefined);

describe('time', () => {
  const limit = 300;
  const late = `media-unavailable: [media] it did not arrive within ${limit} ms (--remote-timeout-ms, redirects included)`;

  /** Reads what never comes. */
  async function wait(reader: SourceReader, url = host.url('/a.png')): Promise<string> {
    const from = performance.now();
    const answer = await refusal(reader.read(url, 'image'));
    expect(performance.now() - from).toBeLessThan(limit + 1000);
    return answer;
  }

  test('runs out for a host that says nothing', async () => {
    host.handle(() => undefined);
    expect(await wait(host.reader({ remoteTimeoutMs: limit }))).toBe(late);
  });

  test('runs out for a body that drips', async () => {
    const timers: NodeJS.Timeout[] = [];
    host.handle((_, response) => void timers.push(setInterval(() => response.write('x'), 20)));
    expect(await wait(host.reader({ remoteTimeoutMs: limit }))).toBe(late);
    for (const timer of timers) clearInterval(timer);
  });

  test('runs out for interim answers without end', async () => {
    const timers: NodeJS.Timeout[] = [];
    host.handle((_, response) => void timers.push(setInterval(() => response.writeProcessing(), 20)));
    expect(await wait(host.reader({ remoteTimeoutMs: limit }))).toBe(late);
    for (const timer of timers) clearInterval(timer);
  });

  test('runs out for redirects that take long together', async () => {
    host.handle(
      (_, response) => void globalThis.setTimeout(() => response.writeHead(302, { location: '/' }).end(), 130),
    );
    expect(await wait(host.reader({ remoteTimeoutMs: limit }))).toBe(late);
    // Each of them alone is in time.
    expect(host.requests.length).toBeGreaterThan(1);
  });

  test('runs out for a DNS that says nothing, and for a port that does not speak TLS', async () => {
    expect(await wait(host.reader({ remoteTimeoutMs: limit, dialForTests: { lookup: silence } }))).toBe(late);
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const name = `images.example.org:${(silent.address() as AddressInfo).port}`;
    expect(await wait(host.reader({ remoteTimeoutMs: limit, mediaAllow: [name] }), `https://${name}/`)).toBe(late);
    silent.close();
  });

  test('is the caller’s to end', async () => {
    host.handle((_, response) => response.write('x'));
    const reader = host.reader();
    const during = new AbortController();
    const reading = refusal(read(reader, '/', during.signal));
    while (host.requests.length === 0) await setTimeout(5);
    during.abort();
    expect(await reading).toBe('cancelled: [media] the caller gave up');
    expect(await refusal(read(reader, '/', AbortSignal.abort()))).toMatch(/^cancelled/);
    expect(
      await refusal(read(host.reader({ dialForTests: { lookup: silence } }), '/', AbortSignal.timeout(50))),
    ).toMatch(/^cancelled/);
  });
});

test('eight are fetched at a time, and who gives up while waiting makes room', async () => {
  const held: ServerResponse[] = [];
  host.handle((_, response) => void held.push(response));
  const reader = host.reader();
  const given = new AbortController();
  const readings = Array.from({ length: 40 }, (_, at) =>
    refusal(read(reader, '/', at % 4 < 3 ? undefined : given.signal)),
  );
  given.abort();
  for (let left = 30; left > 0; left -= 8) {
    while (held.length < Math.min(8, left)) await setTimeout(5);
    // Room for a ninth to show itself.
    await setTimeout(30);
    expect(held.length).toBe(Math.min(8, left));
    for (const response of held.splice(0)) response.end('picture');
  }
  const answers = await Promise.all(readings);
  expect(answers.filter((answer) => answer === 'was read').length).toBe(30);
  expect(answers.filter((answer) => answer.startsWith('cancelled')).length).toBe(10);
  // All slots are free again.
  host.handle();
  expect(new Set(await Promise.all(Array.from({ length: 9 }, () => read(reader))))).toEqual(new Set(['picture']));
});

describe('the DNS', () => {
  test('gives addresses of both families, of one, none, or none in time', async () => {
    const server = await startDnsServer({
      'both.example': ['93.184.215.14', '2606:4700::1111', '127.0.0.1'],
      'four.example': ['93.184.215.14'],
      'six.example': ['2606:4700::1111'],
      'empty.example': [],
      'silent.example': 'silent',
    });
    const lookup = createDnsLookup([server.address]);
    const { signal } = new AbortController();
    expect(await lookup('both.example', signal)).toEqual(['93.184.215.14', '127.0.0.1', '2606:4700::1111']);
    expect(await lookup('four.example', signal)).toEqual(['93.184.215.14']);
    expect(await lookup('six.example', signal)).toEqual(['2606:4700::1111']);
    await expect(lookup('empty.example', signal)).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(lookup('absent.example', signal)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(lookup('silent.example', AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'ECANCELLED' });

    const mediaAllow = ['both.example', 'absent.example', 'silent.example'];
    const reader = createSourceReader({ mediaAllow, remoteTimeoutMs: 200, dialForTests: { lookup } });
    expect(await refusal(reader.read('https://both.example/', 'image'))).toMatch(/^media-refused: .*not public/);
    expect(await refusal(reader.read('https://absent.example/', 'image'))).toBe(
      'media-unavailable: [media] it cannot be fetched: ENOTFOUND',
    );
    expect(await refusal(reader.read('https://silent.example/', 'image'))).toMatch(/^media-unavailable: .*200 ms/);
    await server.close();
  });
});
