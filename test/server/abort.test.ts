import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFakeReranker, postRerank, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker();
const logged: string[] = [];
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker, { log: (line) => logged.push(line) });
});
afterAll(() => app.close());

const hanging = { query: 'hang', documents: ['a'] };

test('a client that goes away aborts its own work and nobody else’s', async () => {
  const before = reranker.aborts;
  const controllers = [new AbortController(), new AbortController()];
  const requests = controllers.map(({ signal }) =>
    postRerank(app.url, hanging, { signal }).catch((error: Error) => error.name),
  );
  await expect.poll(() => reranker.calls.length).toBe(2);
  controllers[0]!.abort();
  expect(await requests[0]).toBe('AbortError');
  await expect.poll(() => reranker.aborts).toBe(before + 1);
  const [first, second] = reranker.calls;
  expect([first!.options.signal!.aborted, second!.options.signal!.aborted].toSorted()).toEqual([false, true]);
  expect((await postRerank(app.url, { query: 'q', documents: ['a'] })).status).toBe(200);
  controllers[1]!.abort();
  await expect.poll(() => reranker.aborts).toBe(before + 2);
  expect(logged).toEqual([]);
});

test('an answered request is not aborted when its connection closes later', async () => {
  reranker.calls.length = 0;
  const init = { headers: { 'content-type': 'application/json', connection: 'close' } };
  await (await postRerank(app.url, { query: 'q', documents: ['a'] }, init)).json();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(reranker.calls[0]!.options.signal!.aborted).toBe(false);
});

test('a body that breaks off never reaches the model', async () => {
  reranker.calls.length = 0;
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.write(
    'POST /v1/rerank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"query":',
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await once(socket, 'close');
  expect((await postRerank(app.url, { query: 'q', documents: ['a'] })).status).toBe(200);
  expect(reranker.calls).toHaveLength(1);
  expect(logged).toEqual([]);
});

test('200 aborts at random moments leave nothing behind (seed 1)', async () => {
  const before = reranker.aborts;
  reranker.calls.length = 0;
  let seed = 1;
  const nextDelay = () => (seed = (seed * 48271) % 2147483647) % 12;
  const requests = Array.from({ length: 200 }, () => {
    const signal = AbortSignal.timeout(nextDelay());
    return postRerank(app.url, hanging, { signal }).catch((error: Error) => error.name);
  });
  expect(new Set(await Promise.all(requests))).toEqual(new Set(['TimeoutError']));
  await expect.poll(() => reranker.aborts - before).toBe(reranker.calls.length);
  expect((await postRerank(app.url, { query: 'q', documents: ['a'] })).status).toBe(200);
  expect(logged).toEqual([]);
});
