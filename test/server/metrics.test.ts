import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { failureOf, failures } from '../../src/server/metric-labels.ts';
import { createMetricsApp } from '../../src/server/metrics-app.ts';
import { ServerMetrics } from '../../src/server/metrics.ts';
import type { MeteredModel } from '../../src/server/model-gauges.ts';
import { listen, type GuardedApp } from './guarded-app.ts';
import { queueMs, rerank, startObserved } from './observed-app.ts';

const stats = { queuedPairs: 3, queuedTokens: 40, batches: 5, batchTokens: 600, gpuBytes: 7_000_000 };
const model = (changed: Partial<MeteredModel> = {}): MeteredModel => ({
  name: 'some/model',
  ready: true,
  stats: async () => stats,
  ...changed,
});

const opened: { close(): void }[] = [];
afterEach(() => opened.splice(0).forEach((one) => one.close()));

function createMetrics(...models: readonly MeteredModel[]): ServerMetrics {
  const metrics = new ServerMetrics({ models: () => models, version: '1.2.3' });
  opened.push(metrics);
  return metrics;
}

async function start(metrics: ServerMetrics, apiKeys?: readonly string[]): Promise<GuardedApp> {
  const app = await startObserved({ listeners: [metrics], ...(apiKeys && { apiKeys }) });
  opened.push(app);
  return app;
}

/** Series and their values, comments left out. */
async function scrape(metrics: ServerMetrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

describe('requests for scores, as text-embeddings-inference counts them', () => {
  test('an answered one', async () => {
    const metrics = createMetrics();
    const { url } = await start(metrics);
    await rerank(url, ['abc', 'far longer than eight']);
    await expect.poll(async () => (await scrape(metrics)).get('te_request_success{method="batch"}')).toBe(1);
    const series = await scrape(metrics);
    expect(series.get('te_request_count{method="batch"}')).toBe(1);
    for (const name of ['', '_tokenization', '_queue', '_inference'])
      expect(series.get(`te_request${name}_duration_count`)).toBe(1);
    expect(series.get('te_request_queue_duration_sum')).toBeCloseTo(queueMs / 1000, 9);
    expect(series.get('te_request_queue_duration_bucket{le="0.01"}')).toBe(0);
    expect(series.get('te_request_queue_duration_bucket{le="0.025"}')).toBe(1);
    expect(series.get('te_request_tokenization_duration_sum')).toBeGreaterThan(0.003);
    expect(series.get('te_request_inference_duration_sum')).toBeGreaterThan(0.008);
    expect(series.get('te_request_duration_sum')).toBeGreaterThan(0.033);
    expect(series.get('te_request_input_length_sum')).toBe(3 + 8);
    expect(series.get('te_request_input_length_count')).toBe(2);
    expect(series.get('wgrank_truncated_documents_total')).toBe(1);
  });

  test('those that fail, and those that never get to the model', async () => {
    const metrics = createMetrics();
    const { url } = await start(metrics, ['k']);
    const key = { 'x-api-key': 'k' };
    await rerank(
      url,
      Array.from({ length: 13 }, () => 'x'),
      key,
    );
    await fetch(`${url}/v1/rerank`, {
      method: 'POST',
      body: '{',
      headers: { ...key, 'content-type': 'application/json' },
    });
    await rerank(url, ['x']);
    await fetch(`${url}/health`);
    await expect.poll(async () => (await scrape(metrics)).get('wgrank_http_requests_in_flight')).toBe(0);
    const series = await scrape(metrics);
    expect(series.get('te_request_count{method="batch"}')).toBe(2);
    expect(series.get('te_request_success{method="batch"}')).toBe(0);
    expect(series.get('te_request_failure{err="backend"}')).toBe(1);
    expect(series.get('te_request_failure{err="validation"}')).toBe(1);
    expect(series.get('te_request_duration_count')).toBe(0);
    expect(series.get('wgrank_http_requests_total{method="POST",route="none",status="401"}')).toBe(1);
    expect(series.get('wgrank_http_requests_total{method="GET",route="/health",status="200"}')).toBe(1);
  });

  test('batches', async () => {
    const metrics = createMetrics();
    metrics.observeBatch(10, 1000);
    metrics.observeBatch(1, 16);
    const series = await scrape(metrics);
    expect(series.get('te_batch_next_size_sum')).toBe(11);
    expect(series.get('te_batch_next_tokens_bucket{le="16"}')).toBe(1);
    expect(series.get('te_batch_next_tokens_bucket{le="1024"}')).toBe(2);
  });
});

describe('labels', () => {
  test('no request can add a series of its own', async () => {
    const metrics = createMetrics(model());
    const { url } = await start(metrics);
    await fetch(`${url}/v1/models/x`);
    await fetch(`${url}/nowhere`);
    await fetch(`${url}/nowhere`, { method: 'LINK' });
    await expect.poll(async () => (await scrape(metrics)).get('wgrank_http_requests_in_flight')).toBe(0);
    const before = (await scrape(metrics)).size;
    for (let i = 0; i < 50; i++) {
      await fetch(`${url}/v1/models/a${i}?b=${i}`, {
        headers: { 'x-request-id': `id-${i}`, 'user-agent': `agent-${i}` },
      });
      await fetch(`${url}/nowhere/${i}`, { headers: { host: `h${i}` } });
    }
    await fetch(`${url}/nowhere`, { method: 'PURGE' });
    await expect.poll(async () => (await scrape(metrics)).get('wgrank_http_requests_in_flight')).toBe(0);
    const after = await scrape(metrics);
    expect(after.size).toBe(before);
    expect(after.get('wgrank_http_requests_total{method="other",route="none",status="404"}')).toBe(2);
    expect(after.get('wgrank_http_requests_total{method="GET",route="/v1/models/*id",status="200"}')).toBe(51);
  });

  test('every status that fails has one of few names', () => {
    const named = new Set<string>();
    for (let status = 400; status < 600; status++) named.add(failureOf(status));
    expect([...named].toSorted()).toEqual([...failures].toSorted());
    expect([401, 408, 424, 429, 499, 503, 504, 422].map(failureOf)).toEqual([
      'unauthorized',
      'timeout',
      'backend',
      'overloaded',
      'dropped',
      'unhealthy',
      'timeout',
      'validation',
    ]);
  });
});

describe('engines', () => {
  test('are asked at each scrape; what is counted elsewhere is not added up', async () => {
    const metrics = createMetrics(
      model({ waitingCalls: 2, restarts: 4, replays: 9 }),
      model({ name: 'other', stats: async () => ({ ...stats, queuedPairs: 10, gpuBytes: 1 }) }),
    );
    await scrape(metrics);
    const [series] = await Promise.all([scrape(metrics), scrape(metrics)]);
    expect(series.get('te_queue_size')).toBe(13);
    expect(series.get('wgrank_queue_calls{model="some/model"}')).toBe(2);
    expect(series.get('wgrank_queue_tokens{model="some/model"}')).toBe(40);
    expect(series.get('wgrank_gpu_bytes{model="some/model"}')).toBe(7_000_000);
    expect(series.get('wgrank_gpu_bytes{model="other"}')).toBe(1);
    expect(series.get('wgrank_engine_batches_total{model="some/model"}')).toBe(5);
    expect(series.get('wgrank_engine_tokens_total{model="some/model"}')).toBe(600);
    expect(series.get('wgrank_engine_restarts_total{model="some/model"}')).toBe(4);
    expect(series.get('wgrank_engine_replays_total{model="some/model"}')).toBe(9);
    expect(series.has('wgrank_engine_restarts_total{model="other"}')).toBe(false);
  });

  test('one that fails, loads or hangs costs its own figures and a second', async () => {
    const hanging = new Promise<never>(() => undefined);
    const metrics = createMetrics(
      model({ name: 'hangs', stats: () => hanging }),
      model({ name: 'fails', ready: false, stats: () => Promise.reject(new Error('gone')) }),
      model({ name: 'loads', ready: false, stats: async () => undefined }),
      model({ name: 'fine' }),
    );
    const startedAt = performance.now();
    const series = await scrape(metrics);
    expect(performance.now() - startedAt).toBeLessThan(2000);
    const told = [...series].filter(([name]) => name.startsWith('wgrank_gpu_bytes'));
    expect(told).toEqual([['wgrank_gpu_bytes{model="fine"}', 7_000_000]]);
    expect(series.get('wgrank_model_ready{model="hangs"}')).toBe(1);
    expect(series.get('wgrank_model_ready{model="loads"}')).toBe(0);
  });

  test('names cannot break the format', async () => {
    const metrics = createMetrics(model({ name: 'a"}\nforged 1 \\' }));
    expect((await scrape(metrics)).get(String.raw`wgrank_gpu_bytes{model="a\"}\nforged 1 \\"}`)).toBe(7_000_000);
  });
});

describe('the process', () => {
  test('a busy event loop shows until the next scrape, an idle one is near 0', async () => {
    const metrics = createMetrics();
    await sleep(50);
    const until = performance.now() + 200;
    while (performance.now() < until);
    await sleep(50);
    const busy = await scrape(metrics);
    expect(busy.get('wgrank_event_loop_delay_seconds{quantile="1"}')).toBeGreaterThan(0.15);
    expect(busy.get('wgrank_event_loop_delay_seconds{quantile="0.5"}')).toBeLessThan(0.15);
    await sleep(300);
    expect((await scrape(metrics)).get('wgrank_event_loop_delay_seconds{quantile="0.5"}')).toBeLessThan(0.05);
  });

  test('memory, CPU time and version', async () => {
    const series = await scrape(createMetrics());
    expect(series.get('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    expect(series.get('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(series.get('process_start_time_seconds')).toBeCloseTo(performance.timeOrigin / 1000, -1);
    expect(series.get('wgrank_info{version="1.2.3"}')).toBe(1);
  });

  test('what never became a request', async () => {
    const metrics = createMetrics();
    metrics.countBroken();
    expect((await scrape(metrics)).get('wgrank_http_broken_requests_total')).toBe(1);
  });
});

test('two servers in one process count apart', async () => {
  const [one, two] = [createMetrics(), createMetrics()];
  one.observeBatch(1, 1);
  expect((await scrape(one)).get('te_batch_next_size_count')).toBe(1);
  expect((await scrape(two)).get('te_batch_next_size_count')).toBe(0);
});

test('the port of their own: /metrics with the same keys and names, and nothing else', async () => {
  const access = { host: '127.0.0.1', keys: new ApiKeys(['k']) };
  const app = await listen(createMetricsApp(createMetrics(model()), access, () => undefined));
  opened.push(app);
  const headers = { authorization: 'Bearer k' };
  expect((await fetch(`${app.url}/metrics`)).status).toBe(401);
  const response = await fetch(`${app.url}/metrics`, { headers });
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  expect(await response.text()).toContain('# TYPE te_request_count counter\nte_request_count{method="batch"} 0\n');
  expect((await fetch(`${app.url}/metrics`, { method: 'POST', headers })).status).toBe(405);
  expect((await fetch(`${app.url}/v1/rerank`, { method: 'POST', headers })).status).toBe(404);
});
