import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../fuzz/random.ts';
import { tiered } from '../support/tier.ts';
import { readProcessTree } from './process-tree.ts';

/** Of which a third warms up: caches fill, V8 compiles, allocators reach their size. */
const seconds = tiered(180, 3600);
const warmUpSeconds = tiered(60, 600);
/** More than the two models can answer at a time on two cores. */
const workers = 24;

let server: ChildProcess;
let url: string;
beforeAll(async () => {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  const models = ['tiny-bge-reranker', 'tiny-qwen3-vl-reranker'].flatMap((name) => ['--model-path', name]);
  const args = ['serve', ...models, '--port', '0', '--max-queue-requests', '8', '--log-format', 'json'];
  server = spawn(process.execPath, ['--import', 'tsx', cli, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  url = await new Promise((resolve, reject) => {
    let err = '';
    server.stderr!.on('data', (chunk: Buffer) => {
      if (err.length < 10_000) err += chunk.toString();
      const found = /ready after [\d.]+ s at (\S+)/.exec(err)?.[1];
      if (found !== undefined) resolve(found);
    });
    server.once('exit', () => reject(new Error(err)));
  });
});
afterAll(async () => {
  server.kill('SIGTERM');
  const [code] = (await once(server, 'exit')) as [number];
  expect(code).toBe(0);
});

const picture = readFileSync(new URL('../../examples/media/photo.jpg', import.meta.url)).toString('base64');
const words = 'the giant panda is a bear species endemic to China and eats bamboo all day long'.split(' ');

/** What a public server gets, and more of the bad than of the good. */
function mix(random: Random): { body: string; path: string; abort: boolean } {
  const text = (length: number) => Array.from({ length }, () => random.pick(words)).join(' ');
  const documents = (count: number, length: number) =>
    Array.from({ length: count }, () => text(1 + random.below(length)));
  const abort = random.chance(15);
  const model = 'tiny-bge-reranker';
  const ask = (body: object, path = '/v1/rerank') => ({
    body: JSON.stringify({ query: text(8), ...body }),
    path,
    abort,
  });
  const kinds = [
    () => ask({ model, documents: documents(10, 60) }),
    () => ask({ model, documents: documents(10, 60) }, '/v2/rerank'),
    () => ask({ model, documents: documents(100, 200), return_documents: true }, '/rerank'),
    () => ask({ model, texts: documents(5, 500) }, '/rerank'),
    () => ask({ model: 'tiny-qwen3-vl-reranker', documents: documents(4, 40) }),
    () =>
      ask({
        model: 'tiny-qwen3-vl-reranker',
        documents: [[{ type: 'image_url', image_url: { url: `data:image/jpeg;base64,${picture}` } }], text(5)],
      }),
    () => ask({ model: 'nobody', documents: ['a'] }),
    () => ask({ documents: [] }),
    () => ({ body: '{"query": "q", "documents": [', path: '/v1/rerank', abort }),
    () => ask({ model: 'tiny-qwen3-vl-reranker', documents: [[{ type: 'image_url', image_url: { url: 'data:,x' } }]] }),
    () => ({ body: 'x'.repeat(300_000), path: '/v1/rerank', abort }),
  ];
  return random.pick(kinds)();
}

const agent = new Agent({ keepAlive: true, maxSockets: workers });
/** @returns the status; 0: the request was given up */
function post({ body, path, abort }: ReturnType<typeof mix>, random: Random): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request(url + path, { method: 'POST', headers, agent }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode!));
      response.once('error', () => (abort ? resolve(0) : reject(new Error('a cut answer'))));
    });
    sent.once('error', (error) => (abort ? resolve(0) : reject(error)));
    sent.end(body);
    if (abort) setTimeout(() => sent.destroy(), random.below(300));
  });
}

async function readMetrics(): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text();
  return new Map([...text.matchAll(/^([^#\s]+) (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)]));
}

const filesOfServer = () => readProcessTree(server.pid!)[0]!.openFiles;
const gpuBytes = (metrics: ReadonlyMap<string, number>) =>
  [...metrics].filter(([name]) => name.startsWith('wgrank_gpu_bytes'));

test(
  'no leak: under twice the load, with errors and clients that leave, memory grows less than 5 %, and all that was held is given back',
  async () => {
    const statuses = new Map<number, number>();
    const samples: { at: number; rss: Map<string, number> }[] = [];
    // Whatever is made when it is first needed, such as a second readback buffer, is there before the count.
    await Promise.all(
      Array.from({ length: workers }, async (_, worker) => {
        const random = new Random(1000 + worker);
        for (let i = 0; i < 10; i++) await post({ ...mix(random), abort: false }, random);
      }),
    );
    agent.destroy();
    await sleep(1000);
    const [filesBefore, before] = [filesOfServer(), await readMetrics()];
    const beganAt = performance.now();
    const since = () => (performance.now() - beganAt) / 1000;
    const work = async (_: unknown, worker: number) => {
      const random = new Random(worker + 1);
      while (since() < seconds) {
        const status = await post(mix(random), random);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        // A client that is refused comes back a little later.
        if (status === 429) await sleep(20);
      }
    };
    const sample = async () => {
      while (since() < seconds) {
        const rss = new Map(
          readProcessTree(server.pid!).map(({ name, pid, rssBytes }) => [`${name} ${pid}`, rssBytes]),
        );
        samples.push({ at: since(), rss });
        await sleep(1000);
      }
    };
    await Promise.all([...Array.from({ length: workers }, work), sample()]);
    agent.destroy();

    const window = (seconds - warmUpSeconds) / 4;
    const median = (name: string, from: number, to: number) => {
      const values = samples.filter(({ at }) => at >= from && at < to).flatMap(({ rss }) => rss.get(name) ?? []);
      return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
    };
    const growth = new Map<string, number>();
    for (const name of samples.at(-1)!.rss.keys()) {
      const early = median(name, warmUpSeconds, warmUpSeconds + window);
      const late = median(name, seconds - window, seconds);
      // Decoders come and go with their tasks.
      if (early !== undefined && late !== undefined) growth.set(name, late / early - 1);
    }
    const asPercent = [...growth].map(([name, part]) => `${name} ${(part * 100).toFixed(1)} %`).join(', ');
    console.log(`soak of ${seconds} s: ${JSON.stringify(Object.fromEntries(statuses))}; growth: ${asPercent}`);
    expect([...statuses.keys()].filter((status) => ![0, 200, 400, 404, 429].includes(status))).toEqual([]);
    expect(statuses.get(429)).toBeGreaterThan(0);
    expect(growth.size).toBeGreaterThanOrEqual(3);
    for (const [name, part] of growth) expect(part, name).toBeLessThan(0.05);

    await expect.poll(filesOfServer, { timeout: 30_000 }).toBeLessThanOrEqual(filesBefore);
    const after = await readMetrics();
    expect(gpuBytes(after)).toEqual(gpuBytes(before));
    for (const name of ['te_queue_size', 'wgrank_http_requests_in_flight'])
      expect([name, after.get(name)]).toEqual([name, name.includes('flight') ? before.get(name) : 0]);
    for (const [name, value] of after) {
      if (/^wgrank_queue_|^wgrank_engine_restarts/.test(name)) expect([name, value]).toEqual([name, 0]);
    }
  },
  (seconds + 120) * 1000,
);
