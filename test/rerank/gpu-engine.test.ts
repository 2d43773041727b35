import { getEventListeners } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/rerank/engine.ts';
import { loadEngine } from '../../src/rerank/load-engine-node.ts';
import { Random } from '../fuzz/random.ts';
import { expectSameBits } from '../ops/cases.ts';
import { outcomeOf, pair, setUp, spoiler, turns } from './engine-setup.ts';

describe('batches', () => {
  it('hold the pairs of calls that arrive together, and every caller gets its own logits in order', async () => {
    const { engine, runs, batches } = setUp();
    const calls = [engine.score([pair(1, 1), pair(3)])];
    for (let i = 0; i < 10; i++) await Promise.resolve(); // later, and still in the same turn of the event loop
    calls.push(engine.score([pair(4, 4, 4)]));
    await turns();
    expect(batches()).toEqual([[2, 3, 12]]);
    runs[0]!.answer();
    expect(await Promise.all(calls.map(outcomeOf))).toEqual([[2, 3], [12]]);
  });

  it('stay within the budgets of tokens and of pairs, two on the GPU at once', async () => {
    const { engine, runs, batches } = setUp({}, 3);
    const call = engine.score([pair(1, 1, 1, 1, 1, 1), pair(2, 2, 2, 2), pair(3), pair(4), pair(5), pair(6), pair(7)]);
    await turns();
    expect(batches()).toEqual([
      [6, 8],
      [3, 4, 5],
    ]);
    expect(await engine.stats()).toMatchObject({ queuedPairs: 2, queuedTokens: 2, batches: 2, batchTokens: 13 });
    runs[1]!.answer();
    await turns();
    expect(batches()[2]).toEqual([6, 7]);
    expect(await outcomeOf(call)).toBe('pending');
    runs[0]!.answer();
    runs[2]!.answer();
    expect(await outcomeOf(call)).toEqual([6, 8, 3, 4, 5, 6, 7]);
  });

  it('of a call without pairs are none', async () => {
    const { engine, runs } = setUp();
    expect(await engine.score([])).toEqual(new Float32Array(0));
    await turns();
    expect(runs).toEqual([]);
  });
});

describe('a failure', () => {
  it('of one logit is its own caller’s', async () => {
    const { engine, runs } = setUp();
    const calls = [engine.score([pair(1)]), engine.score([pair(2), pair(spoiler)]), engine.score([pair(3)])];
    await turns();
    runs[0]!.answer();
    expect(await Promise.all(calls.map(outcomeOf))).toEqual([[1], 'numeric-range', [3]]);
  });

  it('of one batch is that of its callers, and the engine goes on', async () => {
    const { engine, runs } = setUp();
    const calls = [engine.score([pair(1), pair(2, 2, 2, 2, 2, 2, 2)]), engine.score([pair(4, 4, 4), pair(5)])];
    await turns();
    expect(runs).toHaveLength(2);
    runs[0]!.fail(new Error('a bug'));
    runs[1]!.answer();
    expect(await Promise.all(calls.map(outcomeOf))).toEqual(['Error: a bug', [12, 5]]);
    const next = engine.score([pair(7)]);
    await turns();
    runs[2]!.answer();
    expect(await outcomeOf(next)).toEqual([7]);
  });

  it('of the device rejects what waits, what is on its way, and what comes later', async () => {
    const { engine, runs, lose } = setUp();
    const calls = [1, 2, 3].map((id) => engine.score([pair(id, id, id, id, id, id, id)]));
    await turns();
    expect(runs).toHaveLength(2);
    lose();
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        code: 'device-lost',
        message: '[gpu] the device was lost: unknown (the driver crashed)',
      });
    }
    runs[0]!.answer();
    await expect(engine.score([pair(1)])).rejects.toMatchObject({ code: 'device-lost' });
    await turns();
    expect(runs).toHaveLength(2);
    expect(await engine.stats()).toMatchObject({ queuedPairs: 0, queuedTokens: 0 });
    await engine.close();
  });

  it('by close is named, and close may be called again', async () => {
    const { engine } = setUp();
    const call = engine.score([pair(1)]);
    await engine.close();
    await engine.close();
    await expect(call).rejects.toMatchObject({ code: 'engine-stopped', message: '[engine] the engine was closed' });
    await expect(engine.score([pair(1)])).rejects.toMatchObject({ code: 'engine-stopped' });
  });
});

describe('abort', () => {
  it('before the call refuses it', async () => {
    const { engine, runs } = setUp();
    await expect(engine.score([pair(1)], AbortSignal.abort())).rejects.toMatchObject({
      code: 'cancelled',
      message: '[engine] the caller aborted',
    });
    await turns();
    expect(runs).toEqual([]);
  });

  it('while pairs wait takes them out of the queue; while they run it only drops their answers', async () => {
    const { engine, runs, batches } = setUp();
    const controller = new AbortController();
    const long = [1, 2, 3].map((id) => pair(id, id, id, id, id, id, id));
    const aborted = engine.score(long, controller.signal);
    await turns();
    const other = engine.score([pair(5)]);
    controller.abort();
    expect(await outcomeOf(aborted)).toBe('cancelled');
    expect(await engine.stats()).toMatchObject({ queuedPairs: 1, queuedTokens: 1 });
    runs[0]!.answer();
    await turns();
    expect(batches()).toEqual([[7], [14], [5]]);
    runs[2]!.answer();
    expect(await outcomeOf(other)).toEqual([5]);
  });

  it('leaves no listener behind on the signal of calls that have ended', async () => {
    const { engine, runs } = setUp();
    const { signal } = new AbortController();
    const calls = [engine.score([pair(1)], signal), engine.score([pair(spoiler)], signal)];
    expect(getEventListeners(signal, 'abort')).toHaveLength(2);
    await turns();
    runs[0]!.answer();
    await Promise.allSettled(calls);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('pairs that the kernels could not take', () => {
  it.each([
    [
      'input-invalid',
      [pair(1), pair(5, 100)],
      "[engine] pair 1 holds token id 100 (the model's vocabulary has 100 entries)",
    ],
    ['input-invalid', [pair(-1)], "[engine] pair 0 holds token id -1 (the model's vocabulary has 100 entries)"],
    ['input-invalid', [pair(1), pair()], '[engine] pair 1 has no tokens'],
    [
      'input-too-long',
      [pair(...Array(9).fill(1))],
      "The input (9 tokens) is longer than the model's context length (8 tokens).",
    ],
  ])('are refused by name: %s', async (code, pairs, message) => {
    const { engine, runs } = setUp();
    await expect(engine.score(pairs)).rejects.toMatchObject({ code, message });
    await turns();
    expect(runs).toEqual([]);
    expect(await engine.stats()).toMatchObject({ queuedPairs: 0 });
  });

  it('begin right beyond what they can', async () => {
    const { engine, runs } = setUp();
    const call = engine.score([pair(0, 0, 0, 0, 0, 0, 0, 98)]);
    await turns();
    runs[0]!.answer();
    expect(await outcomeOf(call)).toEqual([98]);
  });
});

describe('the embedded model on this adapter', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await loadEngine({ modelDir: 'weights/tiny-bge-reranker', maxBatchTokens: 200 });
  });
  afterAll(() => engine.close());

  const random = new Random(11);
  const calls = [1, 3, 17, 2, 1].map((count) =>
    Array.from({ length: count }, () =>
      pair(0, ...Array.from({ length: 1 + random.below(70) }, () => random.below(300))),
    ),
  );

  it('gives concurrent callers, who share batches, the bits that each gets alone', async () => {
    const alone: Float32Array[] = [];
    for (const pairs of calls) {
      const logits: number[] = [];
      for (const one of pairs) logits.push((await engine.score([one]))[0]!);
      alone.push(Float32Array.from(logits));
    }
    expect(new Set(alone.flatMap((logits) => [...logits])).size).toBeGreaterThan(20);
    const before = await engine.stats();
    const together = await Promise.all(calls.map((pairs) => engine.score(pairs)));
    together.forEach((logits, i) => expectSameBits(logits, alone[i]!));
    const after = await engine.stats();
    const tokens = calls.flat().reduce((sum, { ids }) => sum + ids.length, 0);
    expect(after.batchTokens - before.batchTokens).toBe(tokens);
    // Any two batches in a row hold more than 200 tokens between them.
    const batches = after.batches - before.batches;
    expect(batches).toBeGreaterThanOrEqual(Math.ceil(tokens / 200));
    expect(batches).toBeLessThanOrEqual(Math.ceil((2 * tokens) / 200));
    expect(after.gpuBytes).toBeGreaterThanOrEqual(before.gpuBytes);
  });

  it('says what it is', () => {
    expect(engine.info).toMatchObject({
      model: 'weights/tiny-bge-reranker',
      kind: 'cross-encoder',
      architecture: 'XLMRobertaForSequenceClassification',
      activation: 'identity',
      maxBatchTokens: 200,
    });
  });
});
