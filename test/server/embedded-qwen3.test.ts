import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { spawnEngine } from '../../src/server/engine-process.ts';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { serveOne } from './serve-one.ts';
import { createEncoder } from '../../src/text/create-encoder-node.ts';
import { postRerank } from './fake-reranker.ts';

/** The whole path of a decoder, nothing faked: HTTP, prompts, tokenizer threads, the engine's process, kernels, and back. */
interface GoldenCase {
  readonly prompt: 'official' | 'sglang';
  readonly instruct?: string;
  readonly query: string;
  readonly document: string;
  readonly maxLength: number;
  readonly text: string;
  readonly ids: readonly number[];
  readonly truncatedTokens: number;
  readonly logit: number;
  readonly p: number;
}

const fixture = new URL('../golden/fixtures/tiny-qwen3-reranker.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: GoldenCase[] };
const modelDir = fileURLToPath(new URL('../../weights/tiny-qwen3-reranker', import.meta.url));
const template = (name: string) => fileURLToPath(new URL(`../../examples/chat_template/${name}`, import.meta.url));

/** Two f32 implementations with other orders of summation. */
const logitTolerance = 1e-3;
const scoreTolerance = 1e-4;

const fullLength = 2048;
const shortLength = 128;
const setups = {
  'built in': { prompt: 'official', maxLength: fullLength },
  'built in, short': { prompt: 'official', maxLength: shortLength },
  'official template': { prompt: 'official', maxLength: fullLength, chatTemplate: 'qwen3_reranker_official.jinja' },
  'official template, short': {
    prompt: 'official',
    maxLength: shortLength,
    chatTemplate: 'qwen3_reranker_official.jinja',
  },
  'SGLang template': { prompt: 'sglang', maxLength: fullLength, chatTemplate: 'qwen3_reranker.jinja' },
} as const satisfies Record<string, { prompt: GoldenCase['prompt']; maxLength: number; chatTemplate?: string }>;
type Setup = keyof typeof setups;

const running = new Map<Setup, Promise<RunningServer>>();
afterAll(async () => {
  for (const server of running.values()) await (await server).close();
});

/** One server per setup, for all tests. */
function serverOf(setup: Setup): Promise<RunningServer> {
  let server = running.get(setup);
  if (server === undefined) {
    server = start(setup);
    running.set(setup, server);
  }
  return server;
}

async function start(setup: Setup): Promise<RunningServer> {
  const { maxLength, ...more } = setups[setup];
  const server = await serveOne(
    {
      modelDir,
      model: 'tiny-qwen3-reranker',
      kind: 'text-decoder',
      architecture: 'Qwen3ForCausalLM',
      maxLength,
      truncate: true,
      tokenizerWorkers: 1,
      ...('chatTemplate' in more && { chatTemplate: template(more.chatTemplate) }),
    },
    { createEncoder, spawnEngine, createReranker },
  );
  await server.ready;
  return server;
}

const casesOf = (setup: Setup) =>
  cases.filter(({ prompt, maxLength }) => prompt === setups[setup].prompt && maxLength === setups[setup].maxLength);

type Asked = Pick<GoldenCase, 'query' | 'instruct'>;

async function rank(setup: Setup, { query, instruct }: Asked, documents: readonly string[]) {
  const { url } = await serverOf(setup);
  const response = await postRerank(url, { query, documents, ...(instruct !== undefined && { instruct }) });
  expect(response.status, query).toBe(200);
  return (await response.json()) as RerankAnswerItem[];
}

const scoreOf = async (setup: Setup, asked: GoldenCase) => (await rank(setup, asked, [asked.document]))[0]!.score;

/** Cases that one request asks for. */
function requestsOf(setup: Setup): GoldenCase[][] {
  const requests = new Map<string, GoldenCase[]>();
  for (const asked of casesOf(setup)) {
    const key = JSON.stringify([asked.query, asked.instruct]);
    requests.set(key, [...(requests.get(key) ?? []), asked]);
  }
  return [...requests.values()];
}

describe('the embedded Qwen3 over HTTP', () => {
  test.each(Object.keys(setups) as Setup[])(
    '%s: p(yes), logits and token counts of transformers, best first',
    async (setup) => {
      expect(casesOf(setup).length).toBeGreaterThan(10);
      for (const asked of requestsOf(setup)) {
        const documents = asked.map(({ document }) => document);
        const answer = await rank(setup, asked[0]!, documents);
        const scores = answer.map(({ score }) => score);
        expect(scores).toEqual(scores.toSorted((a, b) => b - a));
        expect(answer.map(({ index }) => index).toSorted()).toEqual(asked.map((_, i) => i));
        for (const { index, score, meta_info } of answer) {
          const { text, ids, truncatedTokens, logit, p } = asked[index]!;
          expect([meta_info.prompt_tokens, meta_info.truncated_tokens], text).toEqual([ids.length, truncatedTokens]);
          expect(Math.abs(meta_info.logit - logit), text).toBeLessThanOrEqual(logitTolerance);
          expect(Math.abs(score - p), text).toBeLessThanOrEqual(scoreTolerance);
        }
      }
    },
  );

  test('an instruction of its own gives another score, an empty one the default', async () => {
    const [plain] = casesOf('built in');
    const asked = casesOf('built in').find(({ instruct, ...rest }) => instruct && rest.document === plain!.document)!;
    const score = await scoreOf('built in', plain!);
    expect(await scoreOf('built in', { ...plain!, instruct: '' })).toBe(score);
    expect(Math.abs((await scoreOf('built in', asked)) - score)).toBeGreaterThan(1e-3);
  });

  test('what is cut is reported, and what was cut does not count', async () => {
    const cut = casesOf('built in, short').filter(({ instruct }) => instruct === undefined);
    expect(cut.length).toBeGreaterThan(3);
    for (const asked of cut) {
      const [answer] = await rank('built in, short', asked, [asked.document]);
      const [longer] = await rank('built in, short', asked, [`${asked.document} and another tail`]);
      expect(answer!.meta_info.prompt_tokens).toBe(shortLength);
      expect(longer!.meta_info.truncated_tokens).toBeGreaterThan(answer!.meta_info.truncated_tokens);
    }
    const panda = cut.find(({ document }) => document.startsWith('panda panda'))!;
    const score = await scoreOf('built in, short', panda);
    expect(await scoreOf('built in, short', { ...panda, document: `${panda.document}${panda.document}` })).toBe(score);
    expect((await rank('built in', panda, [panda.document]))[0]!.meta_info.truncated_tokens).toBe(0);
  });

  test.each(['built in', 'SGLang template'] as const)(
    '%s: the score of a pair is the same alone, among others, and while others ask',
    async (setup) => {
      const asked = casesOf(setup);
      const alone: number[] = [];
      for (const one of asked) alone.push(await scoreOf(setup, one));
      expect(new Set(alone).size).toBeGreaterThan(asked.length / 2);
      const together = await Promise.all(asked.map((one) => scoreOf(setup, one)));
      const padding = Array.from({ length: 20 }, (_, i) => `unrelated text number ${i}`);
      const among = await Promise.all(
        asked.map(async (one) => {
          const answer = await rank(setup, one, [...padding, one.document]);
          return answer.find(({ index }) => index === padding.length)!.score;
        }),
      );
      expect(together).toEqual(alone);
      expect(among).toEqual(alone);
    },
  );
});
