import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { createApp } from '../../src/server/app.ts';
import { createHttpServer, type HttpTimeouts } from '../../src/server/http-server.ts';
import { tiered } from '../support/tier.ts';
import { createFakeReranker } from './fake-reranker.ts';
import { percentile, runLoad } from './load.ts';

/** Those of production, a tenth of them: idle connections are kept far longer than headers may take. */
const timeouts: HttpTimeouts = {
  headersTimeout: 1000,
  requestTimeout: 3000,
  keepAliveTimeout: 6500,
  answerTimeout: 3000,
  connectionsCheckingInterval: 200,
};
/** How much later than configured a client may be cut. */
const allowanceMs = 5000;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** How long each connection lived at the server, by the client's port. */
const lives = new Map<number, Promise<number>>();

async function start(): Promise<number> {
  server = createHttpServer(createApp(createFakeReranker()), timeouts);
  server.on('connection', (socket: Socket) => {
    const since = performance.now();
    lives.set(
      socket.remotePort!,
      once(socket, 'close').then(() => performance.now() - since),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Clients that never end their side, whatever they are told. */
function openMany(count: number, port: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      await expect.poll(() => lives.has(socket.localPort!)).toBe(true);
      return socket;
    }),
  );
}

/** Milliseconds that the last of them lived at the server; Infinity for one that lives after so long. */
async function longestLife(sockets: readonly Socket[], limitMs: number): Promise<number> {
  const giveUp = sleep(limitMs + 2000, Number.POSITIVE_INFINITY);
  return Math.max(
    ...(await Promise.all(sockets.map(({ localPort }) => Promise.race([lives.get(localPort!)!, giveUp])))),
  );
}

/** Sends some bytes each 500 ms, and reads what comes. */
function drip(socket: Socket, head: string, bytes: string): void {
  socket.resume();
  socket.write(head);
  const timer = setInterval(() => socket.write(bytes), 500);
  socket.once('close', () => clearInterval(timer));
}

const get = 'GET /health HTTP/1.1\r\nHost: localhost\r\n';
const post =
  'POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n';
/** 5.6 MB of answers: more than the system takes for a client that reads nothing. */
const bigAnswers = 'GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(4);

test('slow clients cannot starve others', async () => {
  const port = await start();
  const plan = {
    url: `http://127.0.0.1:${port}`,
    body: { query: 'q', documents: ['1 a', '2 b'] },
    perSecond: 50,
    seconds: 8,
    warmUpSeconds: 1,
  };
  const without = await runLoad(plan);

  let begun = () => undefined as void;
  const measuring = new Promise<void>((resolve) => (begun = resolve));
  const loading = runLoad(plan, begun);
  await measuring;
  const slowHeaders = await openMany(tiered(50, 500), port);
  for (const socket of slowHeaders) drip(socket, get, 'X: y\r\n');
  const slowBodies = await openMany(tiered(20, 200), port);
  for (const socket of slowBodies) drip(socket, `${post}{`, ' ');
  const slowReaders = await openMany(tiered(20, 200), port);
  for (const socket of slowReaders) {
    socket.pause();
    socket.write(bigAnswers);
  }
  const { headersTimeout, requestTimeout, answerTimeout } = timeouts;
  const [headersMs, bodiesMs, readersMs] = await Promise.all([
    longestLife(slowHeaders, headersTimeout + allowanceMs),
    longestLife(slowBodies, requestTimeout + allowanceMs),
    longestLife(slowReaders, answerTimeout + allowanceMs),
  ]);
  const results = await loading;
  for (const socket of [...slowHeaders, ...slowBodies, ...slowReaders]) socket.destroy();

  const p99 = [without, results].map((those) => percentile(those, 0.99));
  console.log(
    `lived at most: slow headers ${headersMs.toFixed(0)} ms, bodies ${bodiesMs.toFixed(0)} ms, readers ${readersMs.toFixed(0)} ms; ` +
      `p99 of good requests ${p99[1]!.toFixed(1)} ms, without them ${p99[0]!.toFixed(1)} ms`,
  );
  expect(headersMs).toBeLessThanOrEqual(headersTimeout + allowanceMs);
  expect(bodiesMs).toBeLessThanOrEqual(requestTimeout + allowanceMs);
  expect(readersMs).toBeLessThanOrEqual(answerTimeout + allowanceMs);
  expect(results.length).toBeGreaterThanOrEqual(0.95 * plan.perSecond * plan.seconds);
  expect(results.filter(({ status }) => status !== 200)).toEqual([]);
});

describe('idle connections', () => {
  test('live longer than headers may take, take requests all that time, and end then', async () => {
    const port = await start();
    const [socket] = await openMany(1, port);
    let heard = '';
    socket!.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    // A connection that has served is idle for 2 and 4 times the headers' time between its requests.
    for (const pause of [2, 4, 0]) {
      heard = '';
      socket!.write(`${get}\r\n`);
      await expect.poll(() => heard).toMatch(/^HTTP\/1\.1 200 /);
      await sleep(pause * timeouts.headersTimeout);
    }
    const since = performance.now();
    await once(socket!, 'end');
    expect(performance.now() - since).toBeGreaterThan(timeouts.keepAliveTimeout - 100);
    expect(performance.now() - since).toBeLessThan(timeouts.keepAliveTimeout + allowanceMs);
  });

  test('slow headers of a second request are cut as those of the first', async () => {
    const port = await start();
    const sockets = await openMany(5, port);
    for (const socket of sockets) {
      socket.write(`${get}\r\n`);
      await once(socket, 'data');
      drip(socket, get, 'X: y\r\n');
    }
    expect(await longestLife(sockets, timeouts.headersTimeout + allowanceMs)).toBeLessThan(
      timeouts.headersTimeout + allowanceMs,
    );
  });
});
