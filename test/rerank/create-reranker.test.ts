import { describe, expect, it } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import type { EngineInfo } from '../../src/rerank/engine.ts';
import type { Content } from '../../src/rerank/reranker.ts';
import { fakeInfo } from '../support/fake-engine.ts';

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
      { query: 'what is it ', documents: ['1 plain', '2   b', '3'], signal: undefined, instruct: undefined },
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

describe('the parts', () => {
  it('the encoder gets the instruction', async () => {
    const { reranker, seen } = setUp();
    await reranker.rerank('q', ['1'], { instruct: 'find answers' });
    expect(seen.encoded[0]!.instruct).toBe('find answers');
  });

  it('both get the signal, and their failure is the caller’s', async () => {
    const { reranker, seen } = setUp();
    const controller = new AbortController();
    await reranker.rerank('q', ['1'], { signal: controller.signal });
    expect(seen.encoded[0]!.signal).toBe(controller.signal);
    expect(seen.scored[0]).toBe(controller.signal);
    controller.abort();
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
