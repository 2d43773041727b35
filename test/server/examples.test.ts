import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRequestEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { spawnEngine } from '../../src/server/engine-process.ts';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { serveOne } from './serve-one.ts';
import { vlModel } from '../support/vl-requests.ts';
import { postRerank } from './fake-reranker.ts';

const folder = new URL('../../examples/qwen3-vl/', import.meta.url);
const scripts = readdirSync(folder);

let server: RunningServer;
beforeAll(async () => {
  server = await serveOne(
    {
      modelDir: vlModel,
      model: 'tiny-qwen3-vl-reranker',
      kind: 'vl-decoder',
      architecture: 'Qwen3VLForConditionalGeneration',
      maxLength: 10_240,
      truncate: true,
      tokenizerWorkers: 1,
      media: { mediaRoot: fileURLToPath(new URL('../../examples/media', import.meta.url)) },
    },
    { createEncoder: createRequestEncoder, spawnEngine, createReranker },
  );
  await server.ready;
});
afterAll(() => server.close());

test('there is one for each kind of request', () => {
  expect(scripts.toSorted()).toEqual(['clip.sh', 'mixed.sh', 'picture-query.sh', 'pictures.sh', 'text.sh']);
});

test.each(scripts)('examples/qwen3-vl/%s is answered', async (name) => {
  const script = readFileSync(new URL(name, folder), 'utf8');
  const body = /--data '([^']+)'/.exec(script)![1]!;
  const asked = JSON.parse(body) as { documents: unknown[]; top_n?: number };
  const response = await postRerank(server.url, body);
  const ranked = (await response.json()) as RerankAnswerItem[];
  expect(response.status, JSON.stringify(ranked)).toBe(200);
  expect(ranked).toHaveLength(asked.top_n ?? asked.documents.length);
  const scores = ranked.map(({ score }) => score);
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(scores.every((score) => score > 0 && score < 1)).toBe(true);
});
