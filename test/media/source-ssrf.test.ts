import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { WgrankError, errorCatalogue } from '../../src/errors.ts';
import { isPublicAddress } from '../../src/media/address-rules-node.ts';
import { createSourceReader, type SourceReader } from '../../src/media/read-source-node.ts';
import { startCanaries, type Canaries } from './canaries.ts';
import { listTricks, redirectTricks } from './ssrf-tricks.ts';
import { startTlsHost, type TlsHost } from './tls-host.ts';

let canaries: Canaries;
let host: TlsHost;
beforeAll(async () => {
  host = await startTlsHost();
  canaries = await startCanaries();
});
afterAll(async () => {
  await canaries.close();
  await host.close();
});

async function refusalOf(reader: SourceReader, url: string): Promise<WgrankError> {
  const error = await reader.read(url, 'image').then(
    (bytes) => new Error(`read ${bytes.length} bytes of ${JSON.stringify(url)}`),
    (error: unknown) => error,
  );
  if (!(error instanceof WgrankError)) throw error;
  expect(Object.keys(errorCatalogue)).toContain(error.code);
  return error;
}

test('the canaries sing', async () => {
  expect(canaries.addresses).toContain('127.0.0.1');
  if (!canaries.addresses.includes('::1'))
    console.warn('no IPv6 here: sockets are watched, but nothing listens on ::1');
  const [port] = canaries.ports;
  await new Promise((resolve) => connect(port!, '127.0.0.1').resume().on('close', resolve));
  expect(canaries.takeAttempts()).toEqual([`{"port":${port},"host":"127.0.0.1"}`]);
  expect(await canaries.takeArrivals()).toEqual([`127.0.0.1:${port}`]);
});

/** What every name leads to, and how often one was asked for. */
function listeningLookup(addresses: readonly string[]) {
  const asked: string[] = [];
  const lookup = (name: string): Promise<readonly string[]> => (asked.push(name), Promise.resolve(addresses));
  return { asked, lookup };
}

describe('tricks', () => {
  test('are many', () => {
    const tricks = listTricks(1);
    expect(new Set(tricks).size).toBe(tricks.length);
    expect(tricks.length).toBeGreaterThanOrEqual(120);
    expect(redirectTricks(1).length).toBeGreaterThanOrEqual(10);
  });

  test('reach nothing by default, not even the DNS', async () => {
    const { asked, lookup } = listeningLookup(['127.0.0.1']);
    const reader = createSourceReader({ dialForTests: { lookup } });
    const codes = new Set<string>();
    for (const trick of [...listTricks(canaries.ports[0]!), ...listTricks(canaries.ports[1]!)])
      codes.add((await refusalOf(reader, trick)).code);
    expect([...codes]).toEqual(['media-refused']);
    expect(asked).toEqual([]);
    expect(canaries.takeAttempts()).toEqual([]);
    expect(await canaries.takeArrivals()).toEqual([]);
  });

  test('reach nothing below a media folder', async () => {
    const reader = createSourceReader({ mediaRoot: new URL('fixtures', import.meta.url).pathname });
    for (const trick of listTricks(canaries.ports[0]!)) await refusalOf(reader, trick);
    expect(canaries.takeAttempts()).toEqual([]);
    expect(await canaries.takeArrivals()).toEqual([]);
  });

  // The allowed host itself leads inside: whatever spelling of it passes is stopped by its addresses.
  test.each([
    [['127.0.0.1']],
    [['::1']],
    [['10.0.0.1', '127.0.0.2']],
    [['::ffff:127.0.0.1']],
    [['64:ff9b::7f00:1']],
    [['93.184.215.14', '127.0.0.1']],
    [['2606:4700::1111', '::1']],
    [['localhost']],
    [['']],
  ])('reach nothing with an allowed host at %j', async (addresses) => {
    const { asked, lookup } = listeningLookup(addresses);
    const reader = createSourceReader({ mediaAllow: ['images.example.org'], dialForTests: { lookup } });
    for (const trick of listTricks(canaries.ports[0]!)) {
      const { code, message } = await refusalOf(reader, trick);
      expect(code).toBe('media-refused');
      // The host's name may be said, where it leads may not.
      if (message.includes('not public'))
        for (const address of addresses.filter(({ length }) => length > 0)) expect(message).not.toContain(address);
    }
    // Some spellings are the allowed host, or the test would show nothing.
    expect(asked.length).toBeGreaterThanOrEqual(8);
    expect([...new Set(asked)]).toEqual(['images.example.org']);
    expect(canaries.takeAttempts()).toEqual([]);
    expect(await canaries.takeArrivals()).toEqual([]);
  });

  test.each([301, 302, 303, 307, 308])('%i to a trick reaches nothing', async (status) => {
    const target = canaries.ports[0]!;
    for (const location of redirectTricks(target)) {
      host.handle((_, response) => {
        response.statusCode = status;
        if (location !== '') response.setHeader('location', location);
        response.end('<a href="https://127.0.0.1">');
      });
      const { code, message } = await refusalOf(host.reader(), host.url('/a.png'));
      expect(code).toBe(location === '' ? 'media-unavailable' : 'media-refused');
      expect(message).not.toMatch(/href|meta-data|passwd/);
      expect(host.requests.length).toBe(1);
    }
    const attempts = canaries.takeAttempts();
    expect(attempts.filter((attempt) => !attempt.includes(String(host.port)))).toEqual([]);
    expect(attempts.length).toBe(redirectTricks(target).length);
    expect(await canaries.takeArrivals()).toEqual([]);
  });
});

/** 127.0.0.1 plays the public address, the others are what they are. */
function turning(...answers: string[][]) {
  let asked = 0;
  return {
    asked: () => asked,
    lookup: () => Promise.resolve(answers[Math.min(asked++, answers.length - 1)]!),
  };
}

describe('a name that leads elsewhere the next time', () => {
  test('is asked for once', async () => {
    const { asked, lookup } = turning(['127.0.0.1'], ['127.0.0.2']);
    host.handle((_, response) => response.end('picture'));
    const bytes = await host.reader({ dialForTests: { lookup } }).read(host.url('/'), 'image');
    expect(Buffer.from(bytes).toString()).toBe('picture');
    expect(asked()).toBe(1);
  });

  test('is refused when it has one private address among public ones', async () => {
    const { lookup } = turning(['127.0.0.1', '127.0.0.2']);
    canaries.takeAttempts();
    const reader = host.reader({ dialForTests: { lookup } });
    expect((await refusalOf(reader, host.url('/'))).message).toMatch(/an address that is not public/);
    expect(canaries.takeAttempts()).toEqual([]);
  });

  test('is checked again after a redirect to itself', async () => {
    for (const inside of ['127.0.0.2', '::1', '10.0.0.1', '169.254.169.254']) {
      const { asked, lookup } = turning(['127.0.0.1'], [inside]);
      host.handle((_, response) => response.writeHead(302, { location: '/b' }).end());
      canaries.takeAttempts();
      const reader = host.reader({ dialForTests: { lookup } });
      expect((await refusalOf(reader, host.url('/a'))).message).toMatch(/an address that is not public/);
      expect(asked()).toBe(2);
      const attempts = canaries.takeAttempts();
      expect(attempts.length).toBe(1);
      expect(host.requests.map(({ url }) => url)).toEqual(['/a']);
    }
    expect(await canaries.takeArrivals()).toEqual([]);
  });

  test('a thousand times', async () => {
    let asked = 0;
    const lookup = () => Promise.resolve([['127.0.0.1'], ['127.0.0.2'], ['::1'], ['0.0.0.0']][asked++ % 4]!);
    host.handle((request, response) => {
      if (request.url === '/a') response.writeHead(302, { location: '/b' });
      response.end('picture');
    });
    canaries.takeAttempts();
    const reader = host.reader({ dialForTests: { lookup } });
    let refused = 0;
    for (let round = 0; round < 1000; round += 1)
      await reader.read(host.url(round % 10 === 0 ? '/a' : '/b'), 'image').catch(() => (refused += 1));
    expect(refused).toBeGreaterThan(700);
    const wrong = canaries.takeAttempts().filter((attempt) => !attempt.includes(String(host.port)));
    expect(wrong).toEqual([]);
    expect(await canaries.takeArrivals()).toEqual([]);
  });
});

describe('addresses', () => {
  test.each([
    '0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.254',
    '169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1',
    '198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255',
    '168.63.129.16 :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 100::1',
    '64:ff9b::8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1',
    '2001:1ff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3ffe::1 3fff::1 3fff:fff::1 5f00::1 fc00::1 fd00:ec2::254',
    'fe80::1 febf::1 fec0::1 feff::1 ff02::1 ff0e::1 fe80::1%eth0 2606:4700::1%eth0 4000::1 8000::1',
    '127.1 0x7f.1 1.2.3 1.2.3.4.5 256.1.1.1 [::1] localhost 01.02.03.04 8.8.8.8/8 8.8.8.8: :::1',
  ])('%s: not public', (addresses) => {
    expect(['', ...addresses.split(' ')].filter(isPublicAddress)).toEqual([]);
  });

  test('public', () => {
    const addresses =
      '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 ' +
      '169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 ' +
      '203.0.112.255 223.255.255.255 168.63.129.15 2606:4700:4700::1111 2001:4860:4860::8888 2001:200::1 2003::1 2a00::1 ' +
      '2400:cb00::1 3ffd::1 2001:db7::1 2001:db9::1';
    expect(addresses.split(' ').filter((address) => !isPublicAddress(address))).toEqual([]);
  });
});
