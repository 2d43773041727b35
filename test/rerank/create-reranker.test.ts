import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import type { WindowOptions } from '../../src/rerank/content-encoder.ts';
import type { EngineInfo, EnginePair } from '../../src/rerank/engine.ts';
import type { Content } from '../../src/rerank/reranker.ts';
import { fakeInfo } from '../support/fake-engine.ts';
import { mediaOf } from '../support/fake-vision.ts';

interface Call {
  readonly query: string;
  readonly documents: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly instruct: string | undefined;
}

/** A reranker over parts that keep what they were given. A document's logit is the number it starts with. */
function setUp(info: Partial<EngineInfo> = {}) {
  const seen = { encoded: [] as Call[], scored: [] as (AbortSignal | undefined)[], closed: [] as string[] };
  let logits: number[] = [];
  const reranker = createReranker({
    encoder: {
      encode: async (query, documents, { signal, instruct } = {}) => {
        seen.encoded.push({ query, documents, signal, instruct });
        logits = documents.map((document) => Number.parseFloat(document));
        return documents.map((text) => ({ ids: new Int32Array(text.length), truncatedTokens: text.length % 3 }));
      },
      close: async () => void seen.closed.push('encoder'),
    },
    engine: {
      info: { ...fakeInfo, ...info },
      score: async (pairs, signal) => {
        seen.scored.push(signal);
        if (signal?.aborted) throw new WgrankError('cancelled', 'fake', 'aborted');
        expect(pairs).toHaveLength(logits.length);
        return Float32Array.from(logits);
      },
      stats: async () => ({ queuedPairs: 1, queuedTokens: 2, batches: 3, batchTokens: 4, gpuBytes: 5 }),
      close: async () => void seen.closed.push('engine'),
    },
  });
  const order = async (documents: readonly Content[], topN?: number) =>
    (await reranker.rerank('q', documents, topN === undefined ? {} : { topN })).map(({ index }) => index);
  return { reranker, seen, order };
}

describe('order', () => {
  it('is by descending logit, and equal logits keep their request order', async () => {
    const { order } = setUp();
    expect(await order(['1 a', '3 b', '1 c', '2 d', '3 e', '1 f', '-7 g'])).toEqual([1, 4, 3, 0, 2, 5, 6]);
  });

  it('is stable for more documents than short sorts have', async () => {
    const { order } = setUp();
    const documents = Array.from({ length: 600 }, (_, i) => String(i % 3));
    const expected = [2, 1, 0].flatMap((logit) => [...documents.keys()].filter((i) => i % 3 === logit));
    expect(await order(documents)).toEqual(expected);
  });

  it.each([
    [1, [2]],
    [2, [2, 0]],
    [3, [2, 0, 1]],
    [99, [2, 0, 1]],
    [undefined, [2, 0, 1]],
  ])('topN %s cuts after scoring', async (topN, expected) => {
    const { order, seen } = setUp();
    expect(await order(['5', '4', '6'], topN)).toEqual(expected);
    expect(seen.encoded[0]!.documents).toHaveLength(3);
  });

  it('of no documents is empty', async () => {
    expect(await setUp().order([])).toEqual([]);
  });
});

describe('scores', () => {
  it('are the logits of a model without activation, with what the pair was made of', async () => {
    const { reranker } = setUp();
    expect(await reranker.rerank('q', ['1.5 abcd', '2.5'])).toEqual([
      { index: 1, score: 2.5, logit: 2.5, promptTokens: 3, truncatedTokens: 0 },
      { index: 0, score: 1.5, logit: 1.5, promptTokens: 8, truncatedTokens: 2 },
    ]);
  });

  it('are sigmoids in f64 where the model says so, and order still goes by logit', async () => {
    const { reranker } = setUp({ activation: 'sigmoid' });
    const documents = ['0', '-3.25', '800', '900', '-900'];
    const scored = await reranker.rerank('q', documents);
    expect(scored.map(({ index }) => index)).toEqual([3, 2, 0, 1, 4]); // the first two scores are both 1
    expect(scored.map(({ logit }) => logit)).toEqual([900, 800, 0, -3.25, -900]);
    expect(scored.map(({ score }) => score)).toEqual([1, 1, 0.5, 1 / (1 + Math.exp(3.25)), 0]);
  });
});

const text = (text: string) => ({ type: 'text', text }) as const;

describe('contents', () => {
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,' } } as const;

  it('of several text parts are joined by one space', async () => {
    const { reranker, seen } = setUp();
    await reranker.rerank([text('what'), text('is it ')], ['1 plain', [text('2'), text(''), text(' b')], [text('3')]]);
    expect(seen.encoded).toEqual([
      {
        query: 'what is it ',
        documents: ['1 plain', '2   b', '3'],
        signal: expect.any(AbortSignal),
        instruct: undefined,
      },
    ]);
  });

  it.each([
    ['in the query', [text('a'), image], ['1'], 'image_url'],
    ['in a document', 'q', ['1', [{ type: 'video_url', video_url: { url: 'x' } } as const]], 'video_url'],
  ] as [string, Content, Content[], string][])('with media are refused: %s', async (_, query, documents, type) => {
    const { reranker, seen } = setUp();
    await expect(reranker.rerank(query, documents)).rejects.toMatchObject({
      code: 'media-unsupported',
      message: `This model reads text only: ${type} parts need a multimodal reranker such as Qwen3-VL-Reranker.`,
    });
    expect(seen.encoded).toEqual([]);
  });
});

/** A call of the engine that a test answers. */
interface Scoring {
  readonly pairs: readonly EnginePair[];
  readonly signal: AbortSignal | undefined;
  answer(): void;
  fail(reason: Error): void;
}

/**
 * A reranker over an encoder that makes windows of two documents, and an engine that answers when a test says so. A document's
 * logit is the number it is; `bad` fails in the encoder.
 */
function setUpWindows() {
  const seen = { asked: [] as { query: Content; options: WindowOptions }[], made: 0, ended: 0, closed: 0 };
  const scorings: Scoring[] = [];
  const reranker = createReranker({
    encoder: {
      async *windows(query, documents, options) {
        seen.asked.push({ query, options });
        try {
          for (let i = 0; i < documents.length; i += 2) {
            const window = documents.slice(i, i + 2);
            if (window.includes('bad')) throw new WgrankError('media-invalid', 'picture', 'damaged');
            seen.made++;
            yield window.map((document): EnginePair => {
              const logit = Number(document);
              return { ids: Int32Array.of(logit, 0), truncatedTokens: logit % 3, media: [mediaOf(logit)] };
            });
          }
        } finally {
          seen.ended++;
        }
      },
      close: async () => void seen.closed++,
    },
    engine: {
      info: { ...fakeInfo, kind: 'vl-decoder', activation: 'sigmoid', maxTokens: 700, maxBatchTokens: 300 },
      score: (pairs, signal) =>
        new Promise((resolve, reject) => {
          const answer = () => resolve(Float32Array.from(pairs, ({ ids }) => ids[0]!));
          scorings.push({ pairs, signal, answer, fail: reject });
        }),
      stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
      close: async () => void seen.closed++,
    },
  });
  return { reranker, seen, scorings };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

describe('windows of documents', () => {
  it('are scored one after the other while the next is made, and ranked together', async () => {
    const { reranker, seen, scorings } = setUpWindows();
    const ranking = reranker.rerank('q', ['1', '5', '3', '2', '4'], { topN: 4 });
    for (const [i, made] of [2, 3, 3].entries()) {
      await turns();
      expect([seen.made, scorings.length]).toEqual([made, i + 1]);
      scorings[i]!.answer();
    }
    const ranked = await ranking;
    expect(ranked.map(({ index }) => index)).toEqual([1, 4, 2, 3]);
    expect(ranked[0]).toEqual({
      index: 1,
      score: 1 / (1 + Math.exp(-5)),
      logit: 5,
      promptTokens: 2,
      truncatedTokens: 2,
    });
    expect(seen.ended).toBe(1);
  });

  it('get the engine’s limits, the instruction and the signal; the engine gets the pictures', async () => {
    const { reranker, seen, scorings } = setUpWindows();
    const controller = new AbortController();
    const { signal } = controller;
    const query = [{ type: 'image_url', image_url: { url: 'q' } } as const];
    const ranking = reranker.rerank(query, ['1'], { instruct: 'find', signal });
    await turns();
    expect(seen.asked).toEqual([
      { query, options: { windowTokens: 300, mostTokens: 700, instruct: 'find', signal: expect.any(AbortSignal) } },
    ]);
    expect(scorings[0]!.pairs[0]!.media).toEqual([mediaOf(1)]);
    expect(scorings[0]!.signal!.aborted).toBe(false);
    controller.abort();
    expect(scorings[0]!.signal!.aborted).toBe(true);
    scorings[0]!.answer();
    await ranking;
  });

  it('of no documents are none', async () => {
    const { reranker, scorings } = setUpWindows();
    expect(await reranker.rerank('q', [])).toEqual([]);
    expect(scorings).toEqual([]);
  });

  it('fail with the engine, and no further one is made', async () => {
    const { reranker, seen, scorings } = setUpWindows();
    const ranking = reranker.rerank('q', ['1', '2', '3', '4', '5', '6', '7', '8']).catch((reason: unknown) => reason);
    await turns();
    const reason = new WgrankError('device-lost', 'gpu', 'gone');
    scorings[0]!.fail(reason);
    expect(await ranking).toBe(reason);
    expect([seen.made, seen.ended, scorings.length]).toEqual([2, 1, 1]);
  });

  it('fail with a document, whatever the engine does about the ones before', async () => {
    const { reranker, seen, scorings } = setUpWindows();
    const ranking = reranker.rerank('q', ['1', '2', 'bad']).catch((reason: unknown) => reason);
    expect(await ranking).toMatchObject({ code: 'media-invalid' });
    expect(seen.ended).toBe(1);
    // What the engine still does for the request is for nobody.
    expect(scorings[0]!.signal!.aborted).toBe(true);
    // A failure that comes later is nobody's: it must not end the process.
    scorings[0]!.fail(new Error('late'));
    await turns();
  });

  it('are closed with the engine', async () => {
    const { reranker, seen } = setUpWindows();
    await reranker.close();
    expect(seen.closed).toBe(2);
  });

  it.each<[string, unknown, unknown]>([
    ['a query that is a number', 5, ['1']],
    ['a query of nothing', undefined, ['1']],
    ['a document that is an object', 'q', ['1', { type: 'text', text: 'a' }]],
    ['no list', 'q', '1'],
  ])('refuse what is no content: %s', async (_, query, documents) => {
    const { reranker, seen } = setUpWindows();
    const ranking = reranker.rerank(query as Content, documents as Content[]);
    await expect(ranking).rejects.toMatchObject({ code: 'input-invalid' });
    expect(seen.asked).toEqual([]);
  });
});

describe('the parts', () => {
  it('the encoder gets the instruction', async () => {
    const { reranker, seen } = setUp();
    await reranker.rerank('q', ['1'], { instruct: 'find answers' });
    expect(seen.encoded[0]!.instruct).toBe('find answers');
  });

  it('both are told when the caller gives up, and their failure is the caller’s', async () => {
    const { reranker, seen } = setUp();
    const controller = new AbortController();
    const ranking = reranker.rerank('q', ['1'], { signal: controller.signal });
    controller.abort();
    await expect(ranking).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen.encoded[0]!.signal!.aborted).toBe(true);
    expect(seen.scored[0]!.aborted).toBe(true);
    await expect(reranker.rerank('q', ['1'], { signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  it('are closed together, and answer for information', async () => {
    const { reranker, seen } = setUp({ model: 'some/model' });
    expect(reranker.info.model).toBe('some/model');
    expect(await reranker.stats()).toMatchObject({ queuedPairs: 1, gpuBytes: 5 });
    await reranker.close();
    expect(seen.closed.toSorted()).toEqual(['encoder', 'engine']);
  });
});
