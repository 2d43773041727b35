import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRequestEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import type { Content, ContentPart } from '../../src/rerank/reranker.ts';
import { spawnEngine } from '../../src/server/engine-process.ts';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { serveOne } from './serve-one.ts';
import { pictures, vlFixture, vlModel } from '../support/vl-requests.ts';
import { postRerank } from './fake-reranker.ts';

/** The whole path of a model that sees, nothing faked: HTTP, sources, decoders, prompts, the engine's process, kernels, and back. */
const tolerances = { logit: 2e-3, score: 5e-4 };

let server: RunningServer;
beforeAll(async () => {
  server = await start(10_240);
});
afterAll(() => server.close());

async function start(maxLength: number): Promise<RunningServer> {
  const started = await serveOne(
    {
      modelDir: vlModel,
      model: 'tiny-qwen3-vl-reranker',
      kind: 'vl-decoder',
      architecture: 'Qwen3VLForConditionalGeneration',
      maxLength,
      truncate: true,
      tokenizerWorkers: 1,
      media: { mediaRoot: pictures },
    },
    { createEncoder: createRequestEncoder, spawnEngine, createReranker },
  );
  await started.ready;
  return started;
}

const picture = (url: string): ContentPart => ({ type: 'image_url', image_url: { url } });
const text = (words: string): ContentPart => ({ type: 'text', text: words });

async function rank(
  body: { query: Content; documents: readonly Content[] } & Record<string, unknown>,
  url = server.url,
) {
  const response = await postRerank(url, body);
  expect(response.status, JSON.stringify(body).slice(0, 300)).toBe(200);
  return ((await response.json()) as RerankAnswerItem[]).toSorted((a, b) => a.index - b.index);
}

const logitsOf = (ranked: readonly RerankAnswerItem[]) => ranked.map(({ meta_info: { logit } }) => logit);

describe('the embedded model that sees, over HTTP', () => {
  test.each(vlFixture.requests.map((request, i) => [i, request] as const))(
    'request %i: scores are those of transformers',
    async (_, { query, documents, instruct, maxLength, results }) => {
      const own = maxLength === 10_240 ? server : await start(maxLength);
      const ranked = await rank({ query, documents, ...(instruct !== undefined && { instruct }) }, own.url);
      results.forEach(({ logit, p, truncatedTokens, ids }, i) => {
        const { score, meta_info: info } = ranked[i]!;
        expect.soft(Math.abs(info.logit - logit), `document ${i}`).toBeLessThanOrEqual(tolerances.logit);
        expect.soft(Math.abs(score - p)).toBeLessThanOrEqual(tolerances.score);
        expect.soft(info.truncated_tokens).toBe(truncatedTokens);
        expect
          .soft(info.prompt_tokens)
          .toBe(ids.reduce<number>((sum, id) => sum + (typeof id === 'number' ? 1 : id[1]), 0));
      });
      if (own !== server) await own.close();
    },
  );

  test('texts, pictures and clips together have the bits that they have alone', async () => {
    const mixed = vlFixture.requests
      .filter(({ maxLength }) => maxLength === 10_240)
      .flatMap(({ documents }) => documents);
    const query = [text('a square '), picture('square.png')];
    const together = logitsOf(await rank({ query, documents: mixed }));
    const alone: number[] = [];
    for (const document of mixed) alone.push(...logitsOf(await rank({ query, documents: [document] })));
    expect(alone).toEqual(together);
    expect(new Set(together).size).toBeGreaterThan(mixed.length / 2);
  });

  test('a picture as a data: URI is the picture', async () => {
    const bytes = readFileSync(join(pictures, 'square.png'));
    const dataUri = `data:image/png;base64,${bytes.toString('base64')}`;
    const documents = [[picture('square.png')], [picture(dataUri)], [picture(bytes.toString('base64'))]];
    const [file, data, bare] = logitsOf(await rank({ query: 'q', documents }));
    expect(data).toBe(file);
    expect(bare).toBe(file);
  });

  test('100 documents with a picture each', async () => {
    const names = Object.keys(vlFixture.media).filter(
      (name) => /^[\w-]+\.(png|jpg)$/.test(name) && name !== 'scene.jpg',
    );
    const documents = Array.from({ length: 100 }, (_, i) => [
      text(`document ${i} `),
      picture(names[i % names.length]!),
    ]);
    const ranked = await rank({ query: [picture('photo.jpg')], documents });
    expect(ranked.map(({ index }) => index)).toEqual([...documents.keys()]);
    expect(new Set(logitsOf(ranked)).size).toBe(100);
  });

  test('documents come back when they are asked for, as they were sent', async () => {
    const documents = [[text('a '), picture('dot.png')], 'words'];
    expect((await rank({ query: 'q', documents }))[0]).not.toHaveProperty('document');
    const echoed = await rank({ query: 'q', documents, return_documents: true });
    expect(echoed.map(({ document }) => document)).toEqual(documents);
  });

  test('a clip from a file', async () => {
    const clip = readFileSync(fileURLToPath(new URL('../media/fixtures/clip-h264.mp4', import.meta.url)));
    const url = `data:video/mp4;base64,${clip.toString('base64')}`;
    const [ranked] = await rank({ query: 'q', documents: [[{ type: 'video_url', video_url: { url } }]] });
    expect(ranked!.meta_info.prompt_tokens).toBeGreaterThan(100);
    expect(ranked!.score).toBeGreaterThan(0);
  });
});

describe('what cannot be ranked', () => {
  const bad = (content: Content) => postRerank(server.url, { query: 'q', documents: ['fine', content] });
  const data = (bytes: Buffer | string, type = 'image/png') =>
    `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;

  test.each<[string, Content, RegExp]>([
    ['a file beside the root', [picture('../clip-h264.mp4')], /path with \.\./],
    ['a file: URL', [picture('file:///etc/passwd')], /file:/],
    ['another host', [picture('https://images.example.org/a.png')], /--media-allow/],
    ['an SVG', [picture(data('<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'))], /picture|format/i],
    ['nothing', [picture('data:image/png;base64,')], /./],
    ['half a picture', [picture(data(readFileSync(join(pictures, 'square.png')).subarray(0, 3000)))], /./],
    ['a clip that is a picture', [{ type: 'video_url', video_url: { url: 'square.png' } }], /./],
    ['a missing file', [picture('nowhere.png')], /./],
  ])('%s is 400 with a reason', async (_, content, reason) => {
    const response = await bad(content);
    const body = (await response.json()) as { message: string; type: string };
    expect(response.status, body.message).toBe(400);
    expect(body.type).toBe('BadRequestError');
    expect(body.message).toMatch(reason);
    for (const path of [pictures, vlModel, process.cwd()]) expect(body.message).not.toContain(path);
  });

  test('and the next request is answered', async () => {
    expect(await rank({ query: 'q', documents: [[picture('square.png')]] })).toHaveLength(1);
  });
});
