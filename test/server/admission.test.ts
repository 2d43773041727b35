import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import express from 'express';
import { afterEach, expect, test } from 'vitest';
import { Admission, type AdmissionOptions } from '../../src/server/admission.ts';
import { answerErrors } from '../../src/server/error-answer.ts';
import { OverloadedError } from '../../src/server/overloaded-error.ts';
import { listen, type RunningApp } from './fake-reranker.ts';

const opened: RunningApp[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const app of opened.splice(0)) await app.close();
});

/** A server that reads bodies within limits and answers when it is told to. */
async function open(options: AdmissionOptions) {
  const admission = new Admission(options);
  const waiting: (() => void)[] = [];
  const read = express.raw({ type: () => true, limit: 10_000 });
  const app = express();
  app.post('/', admission.admitBody, read, admission.admitWork, (request, response) => {
    waiting.push(() => response.json((request.body as Uint8Array).length));
  });
  app.use(answerErrors(console.error));
  const running = await listen(app);
  opened.push(running);
  const post = (bytes: Uint8Array, headers: Record<string, string> = {}) =>
    fetch(running.url, { method: 'POST', headers, body: bytes as Uint8Array<ArrayBuffer> });
  const connectRaw = () => {
    const socket = connect(Number(new URL(running.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  };
  return { admission, waiting, post, connectRaw };
}

const zero = { heldBytes: 0, unfinishedBodies: 0, requests: 0 };
const head = (length: number) => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

test('bytes are held from their arrival to the answer, and no more of them than may be', async () => {
  const { admission, waiting, post } = await open({ maxHeldBytes: 5000 });
  const first = post(new Uint8Array(3000));
  await expect.poll(() => waiting.length).toBe(1);
  expect(admission.stats).toEqual({ heldBytes: 3000, unfinishedBodies: 0, requests: 1, refused: 0 });
  const refused = await post(new Uint8Array(2001));
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(refused.headers.get('retry-after-ms'))).toBeGreaterThan(0);
  expect(await refused.text()).toContain('3000 bytes of request bodies are being worked on');
  const second = post(new Uint8Array(2000));
  await expect.poll(() => waiting.length).toBe(2);
  for (const answer of waiting) answer();
  expect(await (await first).json()).toBe(3000);
  expect(await (await second).json()).toBe(2000);
  await expect.poll(() => admission.stats).toEqual({ ...zero, refused: 1 });
});

test('a body that is larger than the bound is read when it is alone', async () => {
  const { admission, waiting, post } = await open({ maxHeldBytes: 100 });
  const only = post(new Uint8Array(9000));
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]!();
  expect(await (await only).json()).toBe(9000);
  await expect.poll(() => admission.stats).toMatchObject(zero);
});

test('clients that announce much and send nothing take nothing away', async () => {
  const { admission, waiting, post, connectRaw } = await open({ maxHeldBytes: 5000, maxRequests: 4 });
  for (let i = 0; i < 50; i++) connectRaw().write(`${head(4900)}x`);
  await expect.poll(() => admission.stats.unfinishedBodies).toBe(50);
  expect(admission.stats).toMatchObject({ heldBytes: 50, requests: 0 });
  const good = post(new Uint8Array(4000));
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]!();
  expect((await good).status).toBe(200);
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(() => admission.stats).toMatchObject(zero);
});

test('bodies that do not fit wait for those before them', async () => {
  const { admission, waiting, connectRaw } = await open({ maxHeldBytes: 5000 });
  const clients = [1, 2, 3].map(connectRaw);
  // All are let in while nothing is held; together they are too much.
  for (const client of clients) client.write(head(4000));
  await expect.poll(() => admission.stats.unfinishedBodies).toBe(3);
  for (const client of clients) client.write(new Uint8Array(3000));
  await expect.poll(() => admission.stats.heldBytes).toBe(9000);
  for (const client of clients) client.write(new Uint8Array(1000));
  const answers = clients.map(async (client) => String(((await once(client, 'data')) as [Buffer])[0]));
  for (let done = 1; done <= 3; done++) {
    await expect.poll(() => waiting.length).toBeGreaterThanOrEqual(done);
    waiting[done - 1]!();
  }
  for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*4000$/);
  for (const client of clients) client.destroy();
  await expect.poll(() => admission.stats).toEqual({ ...zero, refused: 0 });
});

test('what compressed bytes become counts', async () => {
  const { admission, waiting, post } = await open({ maxHeldBytes: 9000 });
  const bomb = gzipSync(new Uint8Array(8000));
  const first = post(bomb, { 'content-encoding': 'gzip' });
  await expect.poll(() => waiting.length).toBe(1);
  expect(admission.stats.heldBytes).toBe(8000);
  const refused = await post(bomb, { 'content-encoding': 'gzip' });
  expect(refused.status).toBe(429);
  waiting[0]!();
  expect(await (await first).json()).toBe(8000);
  await expect.poll(() => admission.stats).toEqual({ ...zero, refused: 1 });
});

test('few compressed bodies are read at a time', async () => {
  const { admission, waiting, post, connectRaw } = await open({ maxHeldBytes: 1e6 });
  const gzipHead = head(100).replace('Host: x', 'Host: x\r\nContent-Encoding: gzip');
  const clients = Array.from({ length: 8 }, connectRaw);
  for (const client of clients) client.write(`${gzipHead}`);
  await expect.poll(() => admission.stats.unfinishedBodies).toBe(8);
  expect((await post(gzipSync('x'), { 'content-encoding': 'gzip' })).status).toBe(429);
  const plain = post(new Uint8Array(10));
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]!();
  expect((await plain).status).toBe(200);
  for (const client of clients) client.destroy();
  await expect.poll(() => admission.stats).toMatchObject(zero);
  const again = post(gzipSync('x'), { 'content-encoding': 'gzip' });
  await expect.poll(() => waiting.length).toBe(2);
  waiting[1]!();
  expect((await again).status).toBe(200);
});

test('requests under way are counted, exactly', async () => {
  const { admission, waiting, post } = await open({ maxHeldBytes: 1e6, maxRequests: 3 });
  const running = [1, 2, 3].map(() => post(new Uint8Array(10)));
  await expect.poll(() => waiting.length).toBe(3);
  expect((await post(new Uint8Array(10))).status).toBe(429);
  waiting[0]!();
  await running[0];
  await expect.poll(() => admission.stats.requests).toBe(2);
  const fourth = post(new Uint8Array(10));
  await expect.poll(() => waiting.length).toBe(4);
  for (const answer of waiting.slice(1)) answer();
  expect((await Promise.all([...running, fourth])).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  await expect.poll(() => admission.stats).toEqual({ ...zero, refused: 1 });
});

test('what the queue refuses is not read, and the connection stays', async () => {
  let full = true;
  const error = new OverloadedError('queue', 'the queue is full', 1234);
  const { admission, waiting, connectRaw } = await open({
    maxHeldBytes: 1e6,
    refusal: () => (full ? error : undefined),
  });
  const client = connectRaw();
  client.write(head(5000));
  expect(String(((await once(client, 'data')) as [Buffer])[0])).toMatch(/^HTTP\/1\.1 429 /);
  expect(admission.stats).toEqual({ ...zero, refused: 1 });
  full = false;
  client.write(new Uint8Array(5000));
  client.write(head(10));
  client.write(new Uint8Array(10));
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]!();
  expect(String(((await once(client, 'data')) as [Buffer])[0])).toMatch(/^HTTP\/1\.1 200 [^]*10$/);
});

test('clients that go away at any stage leave nothing behind', async () => {
  const { admission, waiting, connectRaw } = await open({ maxHeldBytes: 1e6 });
  const stages = ['', new Uint8Array(10), new Uint8Array(100)];
  const clients = Array.from({ length: 60 }, (_, i) => {
    const client = connectRaw();
    client.write(head(100));
    client.write(stages[i % 3]!);
    return client;
  });
  await expect.poll(() => waiting.length).toBe(20);
  await expect.poll(() => admission.stats).toMatchObject({ unfinishedBodies: 40, requests: 20 });
  for (const client of clients) client.destroy();
  await expect.poll(() => admission.stats).toEqual({ ...zero, refused: 0 });
});
