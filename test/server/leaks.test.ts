import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WgrankError, errorCatalogue, type ErrorCode } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { createRequestEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import type { Reranker } from '../../src/rerank/reranker.ts';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { createApp } from '../../src/server/app.ts';
import { createLogger } from '../../src/server/log.ts';
import { ServerMetrics } from '../../src/server/metrics.ts';
import { logRequests } from '../../src/server/request-log.ts';
import { takeNotes } from '../../src/server/request-notes.ts';
import { Random } from '../fuzz/random.ts';
import { fakeInfo } from '../support/fake-engine.ts';
import { showFigures } from '../support/figures.ts';
import { tiered } from '../support/tier.ts';
import { ask, listen, say, type GuardedApp } from './guarded-app.ts';

const requests = tiered(1_000, 100_000);
const seed = 20_260_813;

/** Stands in every text, name, address and key that a request carries. */
const marker = 'zebracorn';
const key = `sk-${marker}-right`;
const modelDir = fileURLToPath(new URL('../../weights/tiny-qwen3-vl-reranker', import.meta.url));

/** What the inside of a server says of itself. */
const inside = `cannot map 0x7f3a5c00beef of ${modelDir}/model.safetensors`;
const codes = (Object.keys(errorCatalogue) as ErrorCode[]).filter(
  // These are for the client to read (the encoder below is the real one), or nobody is left to read them.
  (code) => !/^(input|media|template)-|^decoder-missing$|^overloaded$|^cancelled$/.test(code),
);

const leaks: readonly [string, RegExp][] = [
  ['input text or a key', new RegExp(marker, 'i')],
  ['a path', /\/(?:home|root|tmp|usr|etc|var|opt|proc|work|src|dist|node_modules|weights)\/|[A-Z]:\\|file:\/\//],
  ['the project’s folder', new RegExp(fileURLToPath(new URL('../..', import.meta.url)))],
  ['a memory address', /0x[\da-f]{4,}/i],
  ['a stack frame', /\bat .+:\d+:\d+|\.[jt]s:\d+/],
  ['the words of a parser', /Unexpected token|JSON\.parse|position \d+ \(line/],
  // oxlint-disable-next-line no-control-regex -- what must not be in an answer or line
  ['a control character', /[\0-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/],
];
const leaksOf = (text: string) => leaks.flatMap(([name, pattern]) => (pattern.test(text) ? [name] : []));

let next: () => Error = () => new Error('none');
const lines: string[] = [];
const logger = createLogger({
  level: 'debug',
  format: 'json',
  destination: { write: (line) => void lines.push(line) },
});
let reranker: Reranker;
let app: GuardedApp;
const metrics = new ServerMetrics({ models: () => [], version: '0' });

beforeAll(async () => {
  reranker = createReranker({
    // The real one, so that refusals of texts, pictures and clips are the product's own.
    encoder: await createRequestEncoder({
      kind: 'vl-decoder',
      architecture: 'Qwen3VLForConditionalGeneration',
      modelDir,
      maxLength: 512,
      truncate: false,
      workers: 1,
      media: { mediaAllow: [`${marker}.example`] },
    }),
    engine: {
      info: { ...fakeInfo, kind: 'vl-decoder', maxTokens: 517 },
      score: async () => Promise.reject(next()),
      stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
      close: async () => undefined,
    },
  } as Parameters<typeof createReranker>[0]);
  app = await listen(
    createApp(reranker, {
      before: [
        takeNotes(metrics, logRequests(logger)),
        ...guardAccess({ host: '127.0.0.1', keys: new ApiKeys([key]) }),
      ],
      metrics: metrics.show(),
      maxDocuments: 20,
      log: (line) => logger.error(line),
    }),
  );
}, 60_000);
afterAll(async () => {
  app.close();
  metrics.close();
  await reranker.close();
});

const paths = [
  '/v1/rerank',
  '/v2/rerank',
  '/rerank',
  '/score',
  '/sglang/score',
  '/v1/ranking',
  '/tei/rerank',
  '/voyage/rerank',
  '/cohere/rerank',
  '/jina/v1/rerank',
  '/vllm/rerank',
  `/v1/models/${marker}`,
  `/docs/${marker}`,
  `/${marker}`,
  `/docs/..%2f${marker}`,
  `/jina/${marker}`,
];
const nasty = `\u001b[31m${marker}\r\nforged: 1\u2028\u202e\u009b\0`;

/** A part, document, query or number that is somehow wrong and says where it is from. */
function wrongValue(random: Random): unknown {
  return random.pick<unknown>([
    marker,
    nasty,
    `${marker} `.repeat(2000),
    '',
    7,
    null,
    { [marker]: marker },
    [{ type: marker, [marker]: 1 }],
    [{ type: 'text', text: nasty }],
    ...[
      `file:///etc/${marker}`,
      `http://${marker}.example/x`,
      `https://127.0.0.1:1/${marker}`,
      `data:image/png;base64,${marker}`,
      `/etc/${marker}`,
      nasty,
      `data:,${nasty}`,
    ].flatMap((url) => [[{ type: 'image_url', image_url: { url } }], [{ type: 'video_url', video_url: { url } }]]),
    { text: nasty, image: marker },
  ]);
}

function bodyOf(random: Random): string {
  const body: Record<string, unknown> = {
    query: random.chance(50) ? marker : wrongValue(random),
    documents: random.chance(30) ? wrongValue(random) : [marker, wrongValue(random)],
    texts: [marker],
    passages: [{ text: nasty }],
    text_1: nasty,
    text_2: [marker],
    items: [marker],
    model: random.pick([marker, nasty, undefined]),
    top_n: random.pick([marker, -1, 1, undefined]),
    instruct: random.pick([nasty, 7, undefined]),
    [random.pick([marker, nasty, '__proto__'])]: marker,
  };
  for (const name of Object.keys(body)) if (random.chance(25)) delete body[name];
  const text = JSON.stringify(body);
  if (random.chance(80)) return text;
  const at = random.below(text.length);
  return random.chance(50) ? text.slice(0, at) : `${text.slice(0, at)}${nasty}${text.slice(at)}`;
}

const failures: (() => Error)[] = [
  () => new TypeError(inside),
  () => new RangeError(`${marker}: ${inside}`),
  ...codes.map((code) => () => new WgrankError(code, 'gpu', inside)),
];

/** How failures of the server itself are told: to the operator, with paths and frames. */
const isOperators = (line: string) => (JSON.parse(line) as { level: string }).level === 'error';

describe('errors and logs leak nothing', () => {
  test('the leaks would be seen', () => {
    const text = `${nasty} ${inside} ${new Error('x').stack} at f (/a/b.ts:1:2)`;
    expect(leaksOf(text)).toEqual(
      expect.arrayContaining([
        'input text or a key',
        'a path',
        'a memory address',
        'a stack frame',
        'a control character',
      ]),
    );
  });

  test(`${requests} answers and their lines`, { timeout: 3_600_000 }, async () => {
    const statuses = new Map<number, number>();
    for (let i = 0; i < requests; i++) {
      const random = new Random(seed + i);
      next = random.pick(failures);
      const isKnown = random.chance(90);
      const response = await fetch(app.url + random.pick(paths), {
        method: random.pick(['POST', 'POST', 'POST', 'POST', 'PUT', 'DELETE']),
        headers: {
          'content-type': random.chance(95) ? 'application/json' : marker,
          'user-agent': marker,
          'x-request-id': random.pick(['id-1', 'not an id']),
          authorization: isKnown ? `Bearer ${key}` : `Bearer sk-${marker}-wrong`,
        },
        body: bodyOf(random),
      });
      const text = await response.text();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      // An answer with scores repeats documents that it was asked to repeat; here the engine has none.
      expect(response.status, `seed ${seed + i}`).toBeGreaterThanOrEqual(400);
      expect([seed + i, leaksOf(text), leaksOf(text).length && text]).toEqual([seed + i, [], 0]);
      for (const line of lines.splice(0)) {
        expect(line.match(/\n/g)).toHaveLength(1);
        const found = leaksOf(line).filter((leak) => !isOperators(line) || /input|control/.test(leak));
        // The engine above put the marker into its own words once.
        if (!line.includes(`RangeError: ${marker}`))
          expect([seed + i, found, found.length && line]).toEqual([seed + i, [], 0]);
      }
    }
    showFigures(Object.fromEntries(statuses));
    for (const status of [400, 401, 404, 405, 500, 503])
      expect(statuses.get(status), String(status)).toBeGreaterThan(0);
  });

  test('bytes that are no HTTP, and what they would forge', async () => {
    const heads = [
      `GET /${marker}\u001b[2J HTTP/1.1`,
      `GET /x HTTP/1.1\r\nHost: localhost\r\nx-request-id: a\rforged-${marker}`,
      `GET /x HTTP/1.1\r\nHost: localhost\r\nx-request-id: ${marker}\u009b31m`,
      `GET /%0d%0aforged:%20${marker} HTTP/1.1\r\nHost: localhost`,
      `${marker}`,
      `POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: ${marker}`,
    ];
    for (const head of heads) expect(leaksOf(await say(app, `${head}\r\nConnection: close\r\n\r\n`))).toEqual([]);
    expect(lines.splice(0).flatMap(leaksOf)).toEqual([]);
  });

  test('no request adds a series to the metrics beyond routes, methods and statuses', async () => {
    const text = await metrics.render();
    expect(text).not.toContain(marker);
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const valuesOf = (label: string) =>
      new Set([...text.matchAll(new RegExp(`[{,]${label}="([^"]*)"`, 'g'))].map(([, value]) => value!));
    for (const route of valuesOf('route')) expect(route).toMatch(/^(?:none|\/[\w/:*.]*)$/);
    expect(
      [...valuesOf('method')].every((method) =>
        /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|other|batch)$/.test(method),
      ),
    ).toBe(true);
    expect([...valuesOf('status')].every((status) => /^[2-5]\d\d$/.test(status))).toBe(true);
    const before = series.length;
    for (let i = 0; i < 200; i++)
      await ask(app, `/${marker}/${i}`, {
        method: i % 2 === 0 ? 'PROPFIND' : 'MKCOL',
        headers: { 'x-api-key': key, 'user-agent': `${marker}${i}` },
      });
    const after = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(after.length - before).toBeLessThanOrEqual(1);
  });
});
