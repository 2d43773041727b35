import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import type { ModelOptions, ModelParts } from '../../src/server/serve-model.ts';
import { serve, type RunningServer } from '../../src/server/serve.ts';
import type { PairEncoder } from '../../src/text/encoded-pair.ts';
import { fakeInfo, fakeLogit } from '../support/fake-engine.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { createFakeParts, encodeFake } from './fake-parts.ts';
import { postRerank } from './fake-reranker.ts';
import { serveOne, type ServeOneOptions } from './serve-one.ts';

let parts = createFakeParts();
const logged: string[] = [];
const logger = recordingLogger((message) => logged.push(message));
const plain: ModelOptions = {
  modelDir: 'fake',
  model: 'fake',
  kind: 'cross-encoder',
  architecture: 'FakeForSequenceClassification',
  maxLength: 512,
  truncate: true,
};
const running: RunningServer[] = [];
async function start(options: Partial<ServeOneOptions> = {}, other: Partial<ModelParts> = {}): Promise<RunningServer> {
  const server = await serveOne({ ...plain, logger, ...options }, { ...parts, ...other });
  running.push(server);
  server.ready.catch(() => undefined);
  return server;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
  logged.length = 0;
  parts = createFakeParts();
});

const statusOf = async (url: string) => (await fetch(url)).status;
/** The engine has so many requests, after the one by which it proves itself. */
const inFlight = (count: number) => expect.poll(async () => (await parts.engine!.stats()).batches).toBe(1 + count);
const ask = (url: string, document: string) => postRerank(url, { query: 'q', documents: [document] });

describe('start', () => {
  test('listens at once, is ready when the model has loaded, and answers', async () => {
    const server = await start({ model: 'some/name', maxLength: 99 });
    expect([await statusOf(`${server.url}/health`), await statusOf(`${server.url}/ready`)]).toEqual([200, 503]);
    expect(await server.ready).toEqual([{ ...fakeInfo, model: 'some/name', maxTokens: 99 }]);
    expect(await statusOf(`${server.url}/ready`)).toBe(200);
    const answer = await (await ask(server.url, 'four')).json();
    expect(answer).toMatchObject([{ score: fakeLogit(encodeFake('four')), document: 'four', index: 0 }]);
  });

  test('a taken port is a named error', async () => {
    const { url } = await start();
    const second = start({ port: Number(new URL(url).port) });
    await expect(second).rejects.toEqual(expect.objectContaining({ code: 'listen-failed' }));
    await expect(second).rejects.toThrow(/^\[server\] cannot listen on 127\.0\.0\.1:\d+: another process uses it/);
  });

  test('IPv6 hosts are bracketed', async () => {
    const server = await start({ host: '::1' });
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await statusOf(`${server.url}/health`)).toBe(200);
  });

  test('a model that cannot be loaded: ready rejects, the encoder is closed', async () => {
    const server = await start({ model: 'fail:config-invalid' });
    await expect(server.ready).rejects.toEqual(expect.objectContaining({ code: 'config-invalid' }));
    expect(parts.encoderClosed).toBe(true);
    expect([await statusOf(`${server.url}/health`), await statusOf(`${server.url}/ready`)]).toEqual([200, 503]);
  });

  test('a tokeniser that cannot be loaded: the engine that still loads is given up', async () => {
    const broken = Promise.reject<PairEncoder>(new WgrankError('tokenizer-invalid', 'fake', 'as asked'));
    const server = await start({ model: 'load-hang' }, { createEncoder: () => broken });
    await expect(server.ready).rejects.toEqual(expect.objectContaining({ code: 'tokenizer-invalid' }));
  });
});

test('a killed engine comes back, and what was pending is answered by the next one', async () => {
  const server = await start();
  await server.ready;
  const { pid } = parts.engine!;
  const pending = ask(server.url, 'slower');
  await inFlight(1);
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => statusOf(`${server.url}/ready`)).toBe(503);
  expect(await statusOf(`${server.url}/health`)).toBe(200);
  const answer = await pending;
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject([{ score: fakeLogit(encodeFake('slower')) }]);
  expect(parts.engine!.pid).not.toBe(pid);
  expect(await statusOf(`${server.url}/ready`)).toBe(200);
  expect(logged).toContainEqual(expect.stringContaining('fake: the engine was lost: the process ended: SIGKILL'));
});

test('two models, each with its process, its queue and its name', async () => {
  const [small, large] = ['small', 'large'].map((model) => ({ ...plain, modelDir: model, model }));
  const server = await serve({ host: '127.0.0.1', port: 0, logger, models: [small!, large!] }, parts);
  running.push(server);
  expect((await server.ready).map(({ model }) => model)).toEqual(['small', 'large']);
  const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: { id: string }[] };
  expect(data.map(({ id }) => id)).toEqual(['small', 'large']);
  const body = { query: 'q', documents: ['four'] };
  const answers = await Promise.all(
    [undefined, 'large', 'other'].map((model) => postRerank(server.url, { ...body, ...(model && { model }) })),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 404]);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  for (const model of ['small', 'large']) {
    expect(metrics).toContain(`wgrank_model_ready{model="${model}"} 1`);
    expect(metrics).toMatch(new RegExp(`wgrank_engine_batches_total\\{model="${model}"\\} 2\\b`));
  }
});

test('metrics on a port of their own', async () => {
  const server = await start({ metricsPort: 0 });
  await server.ready;
  expect(await statusOf(`${server.metricsUrl}/metrics`)).toBe(200);
  expect(await statusOf(`${server.url}/metrics`)).toBe(404);
});

test('a request that is not done in time is 504, and its work is given up', async () => {
  const server = await start({ requestTimeoutMs: 300 });
  await server.ready;
  const answer = await ask(server.url, 'hang');
  expect(answer.status).toBe(504);
  expect(await answer.json()).toMatchObject({ object: 'error', type: '504', code: 504 });
  await expect.poll(async () => (await parts.engine!.stats()).queuedPairs).toBe(1);
  expect((await ask(server.url, 'a')).status).toBe(200);
});

test('a request for which there is no room is 429, and told when to come back', async () => {
  const server = await start({ maxQueueRequests: 1, maxBatchTokens: 1 });
  await server.ready;
  const many = Array.from({ length: 50 }, () =>
    postRerank(server.url, { query: 'q', documents: Array(10).fill('slow') }),
  );
  const answers = await Promise.all(many);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(answers.filter(({ status }) => status === 200).length).toBe(50 - refused.length);
  expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(refused[0]!.headers.get('retry-after-ms'))).toBeGreaterThan(0);
});

describe('stop', () => {
  test('requests in flight finish, the connection they came on is closed, the engine ends', async () => {
    const server = await start();
    await server.ready;
    const asked = Array.from({ length: 5 }, () => ask(server.url, 'slow'));
    await inFlight(5);
    const closed = server.close();
    const answers = await Promise.all(asked);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200]);
    expect(await closed).toBe(true);
    expect(await parts.engine!.exited).toBe('exit code 0');
    expect(parts.encoderClosed).toBe(true);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow('fetch failed');
    expect(logged.filter((line) => line !== 'request')).toEqual([]);
  });

  test('a kept connection is still answered, with Connection: close, while the server drains', async () => {
    const server = await start();
    await server.ready;
    const { port } = new URL(server.url);
    const asked = ask(server.url, 'slow');
    const socket = connect(Number(port), '127.0.0.1');
    // Half a request keeps the connection busy over the moment of the stop.
    socket.write('GET /ready HTTP/1.1\r\nHost: localhost\r\n');
    await inFlight(1);
    const closed = server.close();
    socket.write('\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer.toString()).toMatch(/^Connection: close\r$/m);
    expect((await asked).status).toBe(200);
    expect(await closed).toBe(true);
  });

  test('what outlives the drain limit is cut', async () => {
    const server = await start({ drainLimitMs: 100 });
    await server.ready;
    const hanging = ask(server.url, 'hang').catch((error: Error) => error.message);
    await inFlight(1);
    expect(await server.close()).toBe(false);
    expect(await hanging).toBe('fetch failed');
  });

  test('a stop between the engine and the encoder leaves neither behind', async () => {
    let arrive!: () => void;
    const late = new Promise<void>((resolve) => (arrive = resolve));
    const createEncoder: ModelParts['createEncoder'] = async (options) => {
      await late;
      return parts.createEncoder(options);
    };
    const server = await start({}, { createEncoder });
    await expect.poll(() => parts.engine).toBeDefined();
    await expect.poll(async () => (await parts.engine!.stats()).batches).toBe(1);
    const closed = server.close();
    arrive();
    expect(await closed).toBe(true);
    await expect(server.ready).rejects.toEqual(expect.objectContaining({ code: 'cancelled' }));
    expect(await parts.engine!.exited).toBe('exit code 0');
    expect(parts.encoderClosed).toBe(true);
  });

  test('a stop while the model loads does not wait for it', async () => {
    const server = await start({ model: 'load-hang' });
    expect(await server.close()).toBe(true);
    await expect(server.ready).rejects.toEqual(expect.objectContaining({ code: 'cancelled' }));
  });
});

/** Sends raw text, then waits for the server to close the connection. */
async function talk(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(text);
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString()));
  await once(socket, 'close');
  return heard;
}

test('the target of a proxy’s request line says whom it asks, whatever Host says', async () => {
  const server = await start();
  const { port } = new URL(server.url);
  const askedAs = (target: string) =>
    talk(server.url, `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
  expect(await askedAs(`http://127.0.0.1:${port}/health`)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await askedAs('http://evil.example/health')).toMatch(/^HTTP\/1\.1 403 /);
});

describe('patience and broken HTTP', () => {
  const timeouts = {
    headersTimeout: 300,
    requestTimeout: 600,
    keepAliveTimeout: 3000,
    connectionsCheckingInterval: 50,
    answerTimeout: 3000,
  };
  let server: RunningServer;
  beforeAll(async () => {
    server = await start({ timeouts });
    running.length = 0;
    await server.ready;
  });
  afterAll(() => server.close());

  test.each([
    ['half a header', 'GET /health HTTP/1.1\r\nHost:', 408],
    [
      'half a body',
      'POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
      408,
    ],
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a NUL in the request line', 'GET /\0 HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a header of 64 KB', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(65536)}\r\n\r\n`, 431],
  ])('%s', async (_, text, status) => {
    const heard = await talk(server.url, text);
    expect(heard).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const body = JSON.parse(heard.slice(heard.indexOf('\r\n\r\n') + 4)) as object;
    expect(body).toMatchObject({ object: 'error', param: null, code: status });
    expect(await statusOf(`${server.url}/health`)).toBe(200);
  });

  test('a short headers timeout does not cut a connection that idles longer between two requests', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    for (const pause of [900, 0]) {
      socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    socket.destroy();
  });
});
