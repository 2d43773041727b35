import { afterEach, describe, expect, it } from 'vitest';
import type { Engine, EngineOptions } from '../../src/rerank/engine.ts';
import { loadEngine } from '../../src/rerank/load-engine-node.ts';

const modelDir = new URL('../../weights/tiny-qwen3-reranker', import.meta.url).pathname;
let engine: Engine | undefined;
afterEach(() => engine?.close());

/** Documents of their own behind a query's tokens. */
function pairsOf(documents: number, queryTokens: number, documentTokens: number) {
  return Array.from({ length: documents }, (_, d) => ({
    ids: Int32Array.from({ length: queryTokens + documentTokens }, (_, i) =>
      i < queryTokens ? 40 + (i % 900) : 40 + ((31 * (d + 1) + 7 * i) % 1500),
    ),
    truncatedTokens: 0,
  }));
}

async function run(options: Partial<EngineOptions>, pairs: ReturnType<typeof pairsOf>) {
  engine = await loadEngine({ modelDir, ...options });
  const logits = await engine.score(pairs);
  const { batchTokens, batches } = await engine.stats();
  await engine.close();
  return { logits: [...logits], batchTokens, batches };
}

describe('what the documents of a query begin with', () => {
  it('goes through the layers once: 300 tokens of query and 100 documents of 200', async () => {
    const pairs = pairsOf(100, 300, 200);
    const { batchTokens, batches } = await run({ maxBatchTokens: 300 + 100 * 200 }, pairs);
    expect([batchTokens, batches]).toEqual([300 + 100 * 200, 1]);
  });

  it('gives the same bits in any batch, shared or not', async () => {
    const pairs = pairsOf(12, 60, 25);
    const shared = await run({ maxBatchTokens: 4096 }, pairs);
    const apart = await run({ maxBatchTokens: 4096, sharePrefix: false }, pairs);
    const small = await run({ maxBatchTokens: 150, maxLength: 150 }, pairs);
    expect(shared.batchTokens).toBe(60 + 12 * 25);
    expect(apart.batchTokens).toBe(12 * 85);
    expect(small.batches).toBeGreaterThan(3);
    expect(apart.logits).toEqual(shared.logits);
    expect(small.logits).toEqual(shared.logits);
  });

  it('may fill the room of the longest pair, beyond a batch’s tokens', async () => {
    const pairs = pairsOf(30, 100, 20);
    const { batchTokens, batches } = await run({ maxBatchTokens: 128, maxLength: 1024 }, pairs);
    expect([batchTokens, batches]).toEqual([100 + 30 * 20, 1]);
  });
});
