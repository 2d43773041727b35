import { describe, expect, test } from 'vitest';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import type { EngineInfo } from '../../src/rerank/engine.ts';
import type { EncodeOptions } from '../../src/text/encoded-pair.ts';
import { fakeInfo } from '../support/fake-engine.ts';

/** A reranker that notes what its encoder is asked for. */
function start(info: Partial<EngineInfo> = {}) {
  const asked: EncodeOptions[] = [];
  const reranker = createReranker({
    engine: {
      info: { ...fakeInfo, ...info },
      score: async (pairs) => new Float32Array(pairs.length),
      stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
      close: async () => undefined,
    },
    encoder: {
      encode: async (_query, documents, options = {}) => {
        asked.push(options);
        return documents.map(() => ({ ids: Int32Array.of(1), truncatedTokens: 0 }));
      },
      close: async () => undefined,
    },
  });
  return { reranker, asked };
}

test('how a request wants its pairs cut reaches the encoder', async () => {
  const { reranker, asked } = start();
  const cut = { truncate: false, maxDocumentTokens: 3, maxQueryTokens: 2, maxPairTokens: 9 };
  await reranker.rerank('q', ['a'], { ...cut, topN: 1, instruct: 'i' });
  expect(asked[0]).toMatchObject({ ...cut, instruct: 'i' });
  expect(asked[0]).not.toHaveProperty('topN');
});

describe('limits that are none', () => {
  test.each(['maxDocumentTokens', 'maxQueryTokens', 'maxPairTokens'])('%s', async (name) => {
    const { reranker, asked } = start();
    for (const tokens of [0, -1, 1.5, Number.NaN]) {
      await expect(reranker.rerank('q', ['a'], { [name]: tokens })).rejects.toMatchObject({
        code: 'input-invalid',
        message: `[rerank] ${name} is ${tokens} (a whole number of at least 1)`,
      });
    }
    expect(asked).toEqual([]);
  });

  test('a decoder does not cut its query', async () => {
    const { reranker } = start({ kind: 'text-decoder' });
    await expect(reranker.rerank('q', ['a'], { maxQueryTokens: 5 })).rejects.toMatchObject({ code: 'input-invalid' });
  });
});
