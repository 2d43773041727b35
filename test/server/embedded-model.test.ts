import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { spawnEngine } from '../../src/server/engine-process.ts';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { serveOne } from './serve-one.ts';
import { createEncoder } from '../../src/text/create-encoder-node.ts';
import { postRerank } from './fake-reranker.ts';

/** The whole path, nothing faked: HTTP, tokenizer threads, the engine's process, kernels, and back. */
interface GoldenPair {
  readonly query: string;
  readonly document: string;
  readonly ids: readonly number[];
  readonly logit: number;
}

const fixture = new URL('../golden/fixtures/tiny-bge-reranker.json', import.meta.url);
const { pairs } = JSON.parse(readFileSync(fixture, 'utf8')) as { pairs: GoldenPair[] };
const logitTolerance = 5e-4;

let server: RunningServer;
beforeAll(async () => {
  server = await serveOne(
    {
      modelDir: new URL('../../weights/tiny-bge-reranker', import.meta.url).pathname,
      model: 'tiny-bge-reranker',
      kind: 'cross-encoder',
      architecture: 'XLMRobertaForSequenceClassification',
      maxLength: 512,
      truncate: true,
    },
    { createEncoder, spawnEngine, createReranker },
  );
  await server.ready;
});
afterAll(() => server.close());

async function rank(query: string, documents: readonly string[]): Promise<RerankAnswerItem[]> {
  const response = await postRerank(server.url, { query, documents });
  expect(response.status).toBe(200);
  return (await response.json()) as RerankAnswerItem[];
}

describe('the embedded model over HTTP', () => {
  const queries = [...new Set(pairs.map(({ query }) => query))];

  test('gives the logits and token counts of transformers, best first', async () => {
    expect(pairs.length).toBeGreaterThan(10);
    for (const query of queries) {
      const asked = pairs.filter((pair) => pair.query === query);
      const answer = await rank(
        query,
        asked.map(({ document }) => document),
      );
      expect(answer.map(({ score }) => score)).toEqual(answer.map(({ score }) => score).toSorted((a, b) => b - a));
      for (const { index, score, document, meta_info } of answer) {
        const golden = asked[index]!;
        expect(document).toBe(golden.document);
        expect(meta_info.prompt_tokens).toBe(golden.ids.length);
        expect(meta_info.logit).toBe(score);
        expect(Math.abs(score - golden.logit), golden.document).toBeLessThanOrEqual(logitTolerance);
      }
    }
  });

  test('the score of a pair is the same alone, among others, and while others ask', async () => {
    const scoreOf = async (pair: GoldenPair) => (await rank(pair.query, [pair.document]))[0]!.score;
    const alone: number[] = [];
    for (const pair of pairs) alone.push(await scoreOf(pair));
    const together = await Promise.all(pairs.map(scoreOf));
    const padding = Array.from({ length: 40 }, (_, i) => `unrelated text number ${i}`);
    const among = await Promise.all(
      pairs.map(async ({ query, document }) => {
        const answer = await rank(query, [...padding, document]);
        return answer.find(({ index }) => index === padding.length)!.score;
      }),
    );
    expect(together).toEqual(alone);
    expect(among).toEqual(alone);
  });
});
