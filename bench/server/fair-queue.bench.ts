/**
 * What the queue costs a call: npx tsx bench/server/fair-queue.bench.ts
 * CPU time, so that a busy machine does not count; the engine behind it answers at once.
 */
import process from 'node:process';
import type { Engine, EnginePair } from '../../src/rerank/engine.ts';
import { FairQueue } from '../../src/server/fair-queue.ts';

const engine: Engine = {
  info: {
    model: 'none',
    kind: 'cross-encoder',
    architecture: 'none',
    dtype: 'f32',
    adapter: 'none',
    software: true,
    activation: 'identity',
    maxTokens: 512,
    maxBatchTokens: 16384,
    warnings: [],
  },
  score: async (pairs) => new Float32Array(pairs.length),
  stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
  close: async () => undefined,
};
const decoder: Engine = { ...engine, info: { ...engine.info, kind: 'text-decoder' } };

/** Prompts that have 100 tokens in common. */
const pairsOf = (count: number, tokens: number): EnginePair[] =>
  Array.from({ length: count }, (_, i) => ({
    ids: Int32Array.from({ length: tokens }, (_, at) => (at < 100 ? at : i)),
    truncatedTokens: 0,
  }));

type Ask = (pairs: readonly EnginePair[], signal: AbortSignal) => Promise<unknown>;

async function measure(name: string, ask: Ask, pairs: readonly EnginePair[], calls: number, atOnce: number) {
  const run = async () => {
    for (let done = 0; done < calls; done += atOnce)
      await Promise.all(Array.from({ length: atOnce }, () => ask(pairs, new AbortController().signal)));
  };
  await run();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  console.log(`${name.padEnd(52)} ${(((user + system) * 1000) / calls).toFixed(0).padStart(8)} ns a call`);
}

const bound = { maxQueuedCalls: 1000, maxQueuedTokens: 2 ** 26 };
const queue = new FairQueue(engine, bound);
const ofDecoder = new FairQueue(decoder, bound);
const short = pairsOf(10, 20);
const long = pairsOf(1000, 250);

await measure('engine alone, 10 pairs', (pairs, signal) => engine.score(pairs, signal), short, 200_000, 1);
await measure('queue, 10 pairs, one at a time', (pairs, signal) => queue.score(pairs, signal), short, 200_000, 1);
await measure('queue, 10 pairs, 500 at once', (pairs, signal) => queue.score(pairs, signal), short, 200_000, 500);
await measure(
  'queue, 10 pairs, 500 at once, deadline',
  (pairs, signal) => queue.score(pairs, signal, { deadlineMs: 60_000 }),
  short,
  200_000,
  500,
);
await measure('queue, 1,000 pairs of 250 tokens', (pairs, signal) => queue.score(pairs, signal), long, 1000, 10);
await measure('queue, 1,000 prompts that share 100 tokens', (pairs, s) => ofDecoder.score(pairs, s), long, 200, 10);

const refusing = new FairQueue(
  { ...engine, score: () => new Promise(() => undefined) },
  { maxQueuedCalls: 1, maxQueuedTokens: 100 },
);
for (let i = 0; i < 2; i++) void refusing.score(pairsOf(1, 20_000));
await measure('queue, refusal of 10 pairs', (pairs) => refusing.score(pairs).catch(() => undefined), short, 50_000, 1);
await measure('queue, refusal unread', async () => refusing.refusal(), short, 50_000, 1);
