/**
 * What sharing a query's prefix saves: the same documents with and without, in turn, on one machine.
 *
 *   npx tsx bench/server/shared-prefix.bench.ts [--documents 20] [--query 300] [--document 200] [--layers 1] [--rounds 3]
 *
 * With one layer, which is the last one, only the scored tokens ask: what is saved is their keys and values. Two layers have one
 * of the others too. Qwen3-Reranker-0.6B's width with a cut vocabulary and random bf16 weights, written to a temporary folder. Both engines get the
 * same token ids in batches large enough for all of them. Prints tokens pushed through the layers, seconds, and the ratio of each round.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeRandomCheckpoint } from '../../scripts/make-random-checkpoint.ts';
import { loadEngine } from '../../src/rerank/load-engine-node.ts';

const number = { type: 'string' } as const;
const { values } = parseArgs({
  options: { documents: number, query: number, document: number, layers: number, rounds: number },
});
const count = Number(values.documents ?? 20);
const [queryTokens, documentTokens] = [Number(values.query ?? 300), Number(values.document ?? 200)];

const modelDir = mkdtempSync(path.join(tmpdir(), 'wgrank-prefix-'));
const layers = Number(values.layers ?? 1);
await writeRandomCheckpoint({ shape: 'qwen3-reranker-0.6b', dtype: 'bf16', layers, vocab: 20_000, out: modelDir });
const options = { modelDir, maxLength: 4096, maxBatchTokens: count * (queryTokens + documentTokens) };
const shared = await loadEngine(options);
const apart = await loadEngine({ ...options, sharePrefix: false });

const id = (i: number) => 100 + ((i * 7919) % 15_000);
const pairs = Array.from({ length: count }, (_, d) => ({
  ids: Int32Array.from({ length: queryTokens + documentTokens }, (_, i) =>
    id(i < queryTokens ? i : 1000 * (d + 1) + i),
  ),
  truncatedTokens: 0,
}));
const run = async (engine: typeof shared) => {
  const before = await engine.stats();
  const started = performance.now();
  const cpu = process.cpuUsage();
  const logits = await engine.score(pairs);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - started) / 1000;
  return {
    logits,
    seconds,
    cpu: (user + system) / 1e6,
    tokens: (await engine.stats()).batchTokens - before.batchTokens,
  };
};

console.log(`${shared.info.adapter} · ${cpus()[0]?.model}, ${cpus().length} cores · load ${loadavg()[0]?.toFixed(1)}`);
await run(shared);
await run(apart);
for (let round = 1; round <= Number(values.rounds ?? 3); round++) {
  const [a, b] = [await run(shared), await run(apart)];
  const same = a.logits.every((logit, i) => Object.is(logit, b.logits[i]));
  console.log(
    `round ${round}: shared ${a.tokens} tokens, ${a.seconds.toFixed(2)} s · apart ${b.tokens} tokens, ${b.seconds.toFixed(2)} s · ` +
      `${(b.seconds / a.seconds).toFixed(2)} times (processor ${(b.cpu / a.cpu).toFixed(2)}) · ${same ? 'same bits' : 'OTHER BITS'}`,
  );
  if (!same) process.exitCode = 1;
}
await shared.close();
await apart.close();
rmSync(modelDir, { recursive: true });
process.exit();
