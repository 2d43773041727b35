import { afterEach, describe, expect, test } from 'vitest';
import {
  RerankApiError,
  RerankClient,
  RerankConnectionError,
  RerankResponseError,
  RerankTimeoutError,
  type RerankClientOptions,
} from '../../src/client/index.ts';
import { answerWith, failureOf, goodAnswer, startScript, type Step } from './scripted-server.ts';

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

const request = { query: 'q', documents: ['a', 'b'] };
const good = answerWith(200, goodAnswer);
const silent: Step = () => undefined;
const dripping: Step = (response) => void response.writeHead(200).write('{');
const soon = { 'retry-after-ms': '20', 'retry-after': '1' };
const overloaded = answerWith(429, { error: { message: 'full', type: '429' }, id: 'r1' }, soon);

async function start(steps: readonly [Step, ...Step[]], options: Partial<RerankClientOptions> = {}) {
  const server = await startScript(...steps);
  running.push(server);
  return { server, client: new RerankClient({ baseUrl: server.url, ...options }) };
}

describe('repetitions', () => {
  test.each([
    ['429', overloaded],
    ['503', answerWith(503, { error: { message: 'loading', type: '503' } }, soon)],
    ['503 of a proxy', answerWith(503, '<html>busy</html>', { 'content-type': 'text/html', 'retry-after-ms': '20' })],
  ])('%s, then an answer: after as long as was asked', async (_, refusal) => {
    const { server, client } = await start([refusal, good]);
    expect((await client.rerank(request)).results.map(({ score }) => score)).toEqual([0.75, 0.25]);
    expect(server.arrivals).toHaveLength(2);
    expect(server.arrivals[1]! - server.arrivals[0]!).toBeGreaterThanOrEqual(19);
  });

  test('a connection that breaks, then an answer', async () => {
    const { server, client } = await start([(response) => response.destroy(), good]);
    expect((await client.rerank(request)).model).toBe('a-model');
    expect(server.arrivals).toHaveLength(2);
  });

  test.each([0, 1, 2, 3])('no more than %i of them', async (maxRetries) => {
    const { server, client } = await start([overloaded], { maxRetries });
    expect(await failureOf(client.rerank(request))).toEqual(
      expect.objectContaining({ name: 'RerankApiError', status: 429, type: '429', requestId: 'r1', retryAfterMs: 20 }),
    );
    expect(server.arrivals).toHaveLength(1 + maxRetries);
  });

  test.each([400, 401, 403, 404, 405, 408, 409, 413, 422, 499, 500, 502, 504])('none after %i', async (status) => {
    const { server, client } = await start([answerWith(status, { message: 'no' }, soon), good]);
    expect(await failureOf(client.rerank(request))).toMatchObject({ name: 'RerankApiError', status });
    expect(server.arrivals).toHaveLength(1);
  });

  test('none where the server asks for a longer wait than there is time', async () => {
    const { server, client } = await start([answerWith(429, {}, { 'retry-after': '60' })], { timeoutMs: 5000 });
    const began = performance.now();
    expect(await failureOf(client.rerank(request))).toMatchObject({ status: 429, retryAfterMs: 60_000 });
    expect(performance.now() - began).toBeLessThan(2500);
    expect(server.arrivals).toHaveLength(1);
  });

  test('a probe is asked once', async () => {
    const { server, client } = await start([answerWith(503, { message: 'loading' }, soon)]);
    expect([await client.ready(), await client.health()]).toEqual([false, false]);
    expect(server.arrivals).toHaveLength(2);
  });
});

describe('the end of a call', () => {
  test('its time is over: without an answer, and in the middle of one', async () => {
    for (const step of [silent, dripping]) {
      const { client } = await start([step]);
      const error = await failureOf(client.rerank({ ...request, timeoutMs: 50 }));
      expect(error).toBeInstanceOf(RerankTimeoutError);
      expect(String(error)).toContain('within 50 ms');
    }
  });

  test('its time covers all attempts together', async () => {
    const { server, client } = await start([overloaded, silent], { timeoutMs: 300 });
    expect(await failureOf(client.rerank(request))).toBeInstanceOf(RerankTimeoutError);
    expect(server.arrivals).toHaveLength(2);
  });

  test('a probe without an answer in time is a no', async () => {
    const { client } = await start([silent], { timeoutMs: 50 });
    expect(await client.ready()).toBe(false);
  });

  test.each<[string, Step]>([
    ['for an answer', silent],
    ['to be sent again', answerWith(429, {}, { 'retry-after': '20' })],
  ])('the caller gives up while it waits %s', async (_, step) => {
    const { server, client } = await start([step]);
    const controller = new AbortController();
    const { signal } = controller;
    const outcomes = Promise.all([
      failureOf(client.rerank({ ...request, signal })),
      failureOf(client.score({ pairs: [{ query: 'q', document: 'a' }], signal })),
    ]);
    await expect.poll(() => server.arrivals.length).toBe(2);
    const reason = new Error('enough');
    controller.abort(reason);
    const [first, second] = await outcomes;
    expect([first === reason, second === reason]).toEqual([true, true]);
    expect(server.arrivals).toHaveLength(2);
  });

  test('a signal that was aborted before sends nothing', async () => {
    const { server, client } = await start([good]);
    const error = await failureOf(client.rerank({ ...request, signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ name: 'AbortError' });
    expect(server.arrivals).toHaveLength(0);
  });

  test('listeners do not stay at a signal that lives long', async () => {
    const { client } = await start([good]);
    const { signal } = new AbortController();
    let listeners = 0;
    const counted = new Proxy(signal, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (key === 'addEventListener') listeners++;
          if (key === 'removeEventListener') listeners--;
          return Reflect.apply(value, target, args) as unknown;
        };
      },
    });
    for (let i = 0; i < 3; i++) await client.rerank({ ...request, signal: counted });
    expect(listeners).toBe(0);
  });

  test('nobody listens', async () => {
    const { server, client } = await start([good], { maxRetries: 0 });
    await server.close();
    running.pop();
    const error = await failureOf(client.rerank(request));
    expect(error).toBeInstanceOf(RerankConnectionError);
    expect(String(error)).toMatch(/ECONNREFUSED/);
    expect(await client.health()).toBe(false);
  });
});

describe('answers that are not the server’s', () => {
  const whole = JSON.stringify(goodAnswer);
  const html = '<!DOCTYPE html>\n<html><title>Sign in</title></html>';

  test.each<[string, Step, RegExp]>([
    [
      'a page',
      answerWith(200, html, { 'content-type': 'text/html' }),
      /not JSON: text\/html, \d+ characters .*Sign in/,
    ],
    ['nothing', answerWith(200, ''), /not JSON: .*empty/],
    ['half an answer', answerWith(200, whole.slice(0, 120)), /not JSON: .*120 characters/],
    ['SGLang’s list', answerWith(200, [{ score: 1, index: 0 }]), /body is a list of 1 \(an object/],
    ['null', answerWith(200, 'null'), /body is null/],
  ])('%s', async (_, step, message) => {
    const { server, client } = await start([step]);
    const error = await failureOf(client.rerank(request));
    expect(error).toBeInstanceOf(RerankResponseError);
    expect(error).toMatchObject({ status: 200, message: expect.stringMatching(message) });
    expect(server.arrivals).toHaveLength(1);
  });

  test.each<[string, Step]>([
    ['shorter than announced', answerWith(200, whole.slice(0, 120), { 'content-length': '500' })],
    [
      'whose last chunk is missing',
      (response) => void response.writeHead(200).write(whole.slice(0, 120), () => response.destroy()),
    ],
  ])('one %s is a broken connection', async (_, step) => {
    const ended: Step = (response, asked) => {
      step(response, asked);
      setTimeout(() => response.destroy(), 20);
    };
    const { client } = await start([ended], { maxRetries: 0 });
    expect(await failureOf(client.rerank(request))).toBeInstanceOf(RerankConnectionError);
  });

  const [best, second] = goodAnswer.results;
  const result = (change: object) => ({ results: [{ ...best, ...change }, second] });
  test.each<[string, object]>([
    ['results', { results: undefined }],
    ['results', { results: {} }],
    ['results', { results: [] }],
    ['results', { results: [best] }],
    ['results', { results: [best, second, best] }],
    ['results[0]', { results: [null, second] }],
    ['results[0].index', result({ index: 2 })],
    ['results[0].index', result({ index: -1 })],
    ['results[0].index', result({ index: '1' })],
    ['results[0].index', result({ index: 0.5 })],
    ['results[1].index', result({ index: 0 })],
    ['results[0].relevance_score', result({ relevance_score: null })],
    ['results[0].relevance_score', result({ relevance_score: '0.5' })],
    ['results[0].relevance_score', result({ relevance_score: undefined, score: 1 })],
    ['results[0].meta_info', result({ meta_info: 1 })],
    ['results[0].meta_info.logit', result({ meta_info: {} })],
    ['id', { id: 5 }],
    ['model', { model: undefined }],
    ['usage', { usage: null }],
    ['usage.total_tokens', { usage: { prompt_tokens: 1 } }],
    ['usage.prompt_tokens', { usage: { prompt_tokens: -1 } }],
    ['meta', { meta: [] }],
    ['meta.warnings[0]', { meta: { warnings: [1] } }],
  ])('one whose %s is wrong: %j', async (where, change) => {
    const { client } = await start([answerWith(200, { ...goodAnswer, ...change })]);
    const error = await failureOf(client.rerank(request));
    expect(error).toBeInstanceOf(RerankResponseError);
    expect(String(error)).toContain(`the answer's ${where} is `);
  });

  test.each<[string, object]>([
    ['data', { data: [] }],
    ['data[0].index', { data: [{ index: 1, score: 1 }] }],
    ['data[0].score', { data: [{ index: 0, score: null }] }],
  ])('one of score whose %s is wrong: %j', async (where, change) => {
    const { client } = await start([answerWith(200, { ...goodAnswer, ...change })]);
    const error = await failureOf(client.score({ pairs: [{ query: 'q', document: 'a' }] }));
    expect(String(error)).toContain(`the answer's ${where} is `);
  });

  test('models, info and probes look too', async () => {
    const { client } = await start([answerWith(200, { data: [{ id: 1 }] })]);
    for (const call of [client.models(), client.info(), client.health(), client.ready()])
      expect(await failureOf(call)).toBeInstanceOf(RerankResponseError);
  });

  test('tokens and logits are told where the server tells them', async () => {
    const meta_info = { logit: -1.5, prompt_tokens: 12, truncated_tokens: 3 };
    const { client } = await start([answerWith(200, { ...goodAnswer, ...result({ meta_info }) })]);
    const { results, warnings } = await client.rerank(request);
    expect(results).toEqual([
      { index: 1, score: 0.75, logit: -1.5, promptTokens: 12, truncatedTokens: 3 },
      { index: 0, score: 0.25 },
    ]);
    expect(warnings).toEqual(goodAnswer.meta.warnings);
  });

  test.each<[string, unknown, Record<string, string>, RegExp]>([
    ['a page', html, { 'content-type': 'text/html' }, /HTTP 502.*text\/html.*Sign in/],
    ['nothing', '', {}, /HTTP 502.*empty/],
    ['a list', '[1]', {}, /HTTP 502.*not in the words/],
    ['TEI’s error', '{"error":"too long","error_type":"Validation"}', {}, /^HTTP 502: too long$/],
    ['Voyage’s error', '{"detail":"no"}', {}, /^HTTP 502: no$/],
    ['SGLang’s error', '{"object":"error","message":"bad","type":"BadRequestError","code":400}', {}, /^HTTP 502: bad$/],
    ['an empty error', '{"error":{}}', {}, /HTTP 502.*not in the words/],
  ])('a failure that says %s', async (_, body, headers, message) => {
    const { client } = await start([answerWith(502, body, { ...headers, 'x-request-id': 'r2' })]);
    const error = await failureOf(client.rerank(request));
    expect(error).toBeInstanceOf(RerankApiError);
    expect(error).toMatchObject({ status: 502, requestId: 'r2', message: expect.stringMatching(message) });
  });
});
