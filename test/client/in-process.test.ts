import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Reranker, type Content, type LoadedReranker, type LoadOptions, type RerankOptions } from '../../src/index.ts';

interface GoldenPair {
  readonly query: string;
  readonly document: string;
  readonly ids: readonly number[];
  readonly logit: number;
}
const { pairs } = JSON.parse(
  readFileSync(new URL('../golden/fixtures/tiny-bge-reranker.json', import.meta.url), 'utf8'),
) as { pairs: GoldenPair[] };
const logitTolerance = 5e-4;

const weights = fileURLToPath(new URL('../../weights/', import.meta.url));
const documents = ['hi', 'The giant panda is a bear species endemic to China.', 'a bear'];

let reranker: LoadedReranker;
beforeAll(async () => {
  reranker = await Reranker.load('tiny-bge-reranker');
});
afterAll(() => reranker.close());

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (value) => expect.fail(`it answered ${JSON.stringify(value)}`),
    (error: { code?: string }) => error.code ?? error,
  );

/** Children of this process that run the engine. */
const engines = () =>
  readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .filter((pid) => pid !== '' && commandOf(pid).includes('engine-child'))
    .map(Number);

/** Empty once it has ended, which may be while we look. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe('a loaded model', () => {
  test('gives the logits and token counts of transformers, best first', async () => {
    for (const query of new Set(pairs.map((pair) => pair.query))) {
      const asked = pairs.filter((pair) => pair.query === query);
      const ranked = await reranker.rerank(
        query,
        asked.map(({ document }) => document),
      );
      expect(ranked.map(({ score }) => score)).toEqual(ranked.map(({ score }) => score).toSorted((a, b) => b - a));
      for (const { index, score, logit, promptTokens } of ranked) {
        expect(Math.abs(logit - asked[index]!.logit)).toBeLessThanOrEqual(logitTolerance);
        expect([score, promptTokens]).toEqual([logit, asked[index]!.ids.length]);
      }
    }
  });

  test('cuts and keeps as it is told', async () => {
    const long = 'panda '.repeat(2000);
    expect(await reranker.rerank('q', documents, { topN: 1 })).toHaveLength(1);
    expect(await reranker.rerank('q', [])).toEqual([]);
    const [whole] = await reranker.rerank('q', [long]);
    expect(whole!.promptTokens).toBe(reranker.info.maxTokens);
    expect(whole!.truncatedTokens).toBeGreaterThan(0);
    const [cut] = await reranker.rerank('q', [long], { maxDocumentTokens: 7 });
    expect(cut!.promptTokens).toBeLessThan(20);
    expect(await codeOf(reranker.rerank('q', [long], { truncate: false }))).toBe('input-too-long');
  });

  test('answers calls that run at once as it answers them one by one', async () => {
    const queries = Array.from({ length: 20 }, (_, i) => `what is ${i}?`);
    const alone = [];
    for (const query of queries) alone.push(await reranker.rerank(query, documents));
    expect(await Promise.all(queries.map((query) => reranker.rerank(query, documents)))).toEqual(alone);
  });

  test('an abort ends its own call alone', async () => {
    const controller = new AbortController();
    const many = Array.from({ length: 500 }, (_, i) => `${'bear '.repeat(100)}${i}`);
    const aborted = codeOf(reranker.rerank('q', many, { signal: controller.signal }));
    const other = reranker.rerank('q', documents);
    setTimeout(() => controller.abort(), 50);
    expect(await aborted).toBe('cancelled');
    expect(await other).toHaveLength(3);
    expect(await codeOf(reranker.rerank('q', documents, { signal: AbortSignal.abort() }))).toBe('cancelled');
  });

  test('tells what it is and what it does', async () => {
    expect(reranker.info).toMatchObject({ model: 'tiny-bge-reranker', kind: 'cross-encoder' });
    expect((await reranker.stats()).gpuBytes).toBeGreaterThan(100_000);
  });
});

describe('what breaks the types is refused with its place', () => {
  const text = { type: 'text', text: 'a' };
  test.each<[unknown, unknown, unknown, string]>([
    [undefined, ['a'], {}, 'query is undefined'],
    [5, ['a'], {}, 'query is 5'],
    ['q', 'abc', {}, 'documents is a string'],
    ['q', undefined, {}, 'documents is undefined'],
    ['q', ['a', null], {}, 'documents[1] is null'],
    ['q', [{ text: 'a' }], {}, 'documents[0] is an object'],
    ['q', [[null]], {}, 'documents[0][0].type is undefined'],
    ['q', [[text, { type: 'text' }]], {}, 'documents[0][1].text is undefined'],
    ['q', [[{ type: 'image' }]], {}, 'documents[0][0].type is a string'],
    ['q', [[{ type: 'image_url', image_url: 'x' }]], {}, 'documents[0][0].image_url.url is undefined'],
    ['q', [[{ type: 'video_url', video_url: { url: [] } }]], {}, 'documents[0][0].video_url.url is a list of 0'],
    ['q', [[{ type: 'video_url', video_url: { url: ['a', 1] } }]], {}, 'documents[0][0].video_url.url[1] is 1'],
    ['q', [[{ type: 'video_url', video_url: { url: 'a', fps: 0 } }]], {}, 'documents[0][0].video_url.fps is 0'],
    ['a\0', ['a'], {}, 'query contains a NUL'],
    ['q', ['\ud83d'], {}, 'documents[0] contains a lone surrogate'],
    [[{ type: 'text', text: '\udc3c' }], ['a'], {}, 'query[0].text contains a lone surrogate'],
    ['q', ['a'], null, 'options is null'],
    ['q', ['a'], { topN: 0 }, 'topN is 0'],
    ['q', ['a'], { topN: Number.NaN }, 'topN is NaN'],
    ['q', ['a'], { instruct: 5 }, 'options.instruct is 5'],
    ['q', ['a'], { truncate: 'no' }, 'options.truncate is a string'],
    ['q', ['a'], { signal: {} }, 'options.signal is an object'],
    ['q', ['a'], { observe: true }, 'options.observe is true'],
    ['q', ['a'], { maxDocumentTokens: 0 }, 'maxDocumentTokens is 0'],
  ])('%j, %j, %j', async (query, asked, options, message) => {
    const call = reranker.rerank(query as Content, asked as Content[], options as RerankOptions);
    await expect(call).rejects.toMatchObject({ code: 'input-invalid', message: expect.stringContaining(message) });
  });

  test('pictures need a model that sees', async () => {
    const picture: Content = [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }];
    expect(await codeOf(reranker.rerank('q', [picture]))).toBe('media-unsupported');
  });
});

describe('loading', () => {
  test('by folder, relative ones too, gives the same model', async () => {
    const relative = path.relative(process.cwd(), path.join(weights, 'tiny-bge-reranker'));
    const other = await Reranker.load(relative, { workers: 1 });
    try {
      expect(await other.rerank('q', documents)).toEqual(await reranker.rerank('q', documents));
      expect(other.info.model).toBe(relative);
    } finally {
      await other.close();
    }
  });

  test('by a hub id from the local cache', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'wgrank-in-process-'));
    const before = process.env['HF_HUB_CACHE'];
    try {
      const sha = 'a'.repeat(40);
      const repository = path.join(root, 'models--org--tiny');
      await mkdir(path.join(repository, 'snapshots'), { recursive: true });
      await mkdir(path.join(repository, 'refs'));
      await writeFile(path.join(repository, 'refs', 'main'), sha);
      await symlink(path.join(weights, 'tiny-qwen3-reranker'), path.join(repository, 'snapshots', sha));
      process.env['HF_HUB_CACHE'] = root;
      const decoder = await Reranker.load('org/tiny', { maxLength: 256, workers: 1 });
      try {
        const [plain] = await decoder.rerank('q', ['a']);
        const [instructed] = await decoder.rerank('q', ['a'], { instruct: 'Judge whether the document is short' });
        expect(plain!.score).toBe(1 / (1 + Math.exp(-plain!.logit)));
        expect(instructed!.promptTokens).not.toBe(plain!.promptTokens);
        expect(decoder.info).toMatchObject({ kind: 'text-decoder', maxTokens: 256 });
      } finally {
        await decoder.close();
      }
    } finally {
      if (before === undefined) delete process.env['HF_HUB_CACHE'];
      else process.env['HF_HUB_CACHE'] = before;
      await rm(root, { recursive: true });
    }
  });

  test.each<[string, LoadOptions, string]>([
    ['no-such-model', {}, 'model-not-found'],
    ['', {}, 'model-not-found'],
    [undefined as never, {}, 'input-invalid'],
    [fileURLToPath(import.meta.url), {}, 'model-not-found'],
    [path.dirname(fileURLToPath(import.meta.url)), {}, 'checkpoint-missing'],
    [path.dirname(fileURLToPath(import.meta.url)), { isolate: true }, 'checkpoint-missing'],
  ])('%j with %j is refused: %s', async (model, options, code) => {
    expect(await codeOf(Reranker.load(model, options))).toBe(code);
  });
});

describe('closing', () => {
  test('twice is once, and nothing answers afterwards', async () => {
    const mine = await Reranker.load('tiny-bge-reranker', { workers: 1 });
    const { rerank, close } = mine;
    expect(await rerank('q', ['a'])).toHaveLength(1);
    const pending = codeOf(
      rerank(
        'q',
        Array.from({ length: 300 }, (_, i) => `${'bear '.repeat(100)}${i}`),
      ),
    );
    await Promise.all([close(), close()]);
    await close();
    expect(await pending).toBe('engine-stopped');
    const calls = [rerank('q', ['a']), rerank('q', []), mine.stats(), rerank(5 as never, [])];
    expect(await Promise.all(calls.map(codeOf))).toEqual(Array.from(calls, () => 'engine-stopped'));
  });

  test('happens at the end of a block', async () => {
    let kept: LoadedReranker | undefined;
    const use = async () => {
      await using mine = await Reranker.load('tiny-bge-reranker', { workers: 1 });
      kept = mine;
      return (await mine.rerank('q', ['a'])).length;
    };
    expect(await use()).toBe(1);
    expect(await codeOf(kept!.rerank('q', ['a']))).toBe('engine-stopped');
  });
});

describe('isolate', () => {
  test('gives the same scores from a process of its own, and outlives its end', async () => {
    const isolated = await Reranker.load('tiny-bge-reranker', { isolate: true, workers: 1 });
    try {
      const expected = await reranker.rerank('q', documents);
      expect(await isolated.rerank('q', documents)).toEqual(expected);
      const [pid] = engines();
      process.kill(pid!, 'SIGKILL');
      expect(await isolated.rerank('q', documents)).toEqual(expected);
      expect(engines()).not.toContain(pid);
    } finally {
      await isolated.close();
    }
    for (let i = 0; i < 100 && engines().length > 0; i++) await sleep(20);
    expect(engines()).toEqual([]);
    expect(await codeOf(isolated.rerank('q', documents))).toBe('engine-stopped');
  });
});
