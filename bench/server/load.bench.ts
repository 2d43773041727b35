/**
 * How long a model folder takes to become ready, and what it costs beside its weights.
 *
 *   npm run build && npx tsx bench/server/load.bench.ts --model FOLDER [--dtype f16] [--rounds 3]
 *
 * Each round starts the engine's process as the server does, waits for `ready`, scores one short pair and ends it. The files
 * are read once before, so that the page cache is warm. On a software adapter GPU buffers are host memory of the process, and what
 * of them was never written is not resident: its peak less their bytes can be negative.
 */
import { createReadStream, readdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { WeightDtype } from '../../src/rerank/engine.ts';
import { mib, processorSeconds, residentBytes } from './process-figures.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    dtype: { type: 'string', default: 'auto' },
    rounds: { type: 'string', default: '3' },
  },
});
if (values.model === undefined) throw new Error('--model FOLDER is missing');
const modelDir = resolve(values.model);
const { spawnEngine } = (await import(
  new URL('../../dist/server/engine-process.js', import.meta.url).href
)) as typeof import('../../src/server/engine-process.ts');

let fileBytes = 0;
for (const name of readdirSync(modelDir)) {
  if (!name.endsWith('.safetensors')) continue;
  for await (const chunk of createReadStream(join(modelDir, name), { highWaterMark: 1 << 24 })) {
    fileBytes += (chunk as Buffer).length;
  }
}
console.log(
  `${modelDir}: ${mib(fileBytes)} MiB of weights · ${cpus()[0]?.model}, ${cpus().length} cores · node ${process.version}`,
);
for (let round = 1; round <= Number(values.rounds); round++) {
  const started = performance.now();
  const engine = await spawnEngine({ modelDir, dtype: values.dtype as WeightDtype });
  const ready = (performance.now() - started) / 1000;
  const processor = processorSeconds(engine.pid);
  const { gpuBytes } = await engine.stats();
  const [logit] = await engine.score([{ ids: Int32Array.of(0, 5, 6, 2, 2, 7, 8, 9, 2), truncatedTokens: 0 }]);
  const { peak } = residentBytes(engine.pid);
  const { adapter, dtype } = engine.info;
  await engine.close();
  if (round === 1) console.log(`${adapter}, weights ${dtype}, GPU buffers ${mib(gpuBytes)} MiB`);
  const beyond = `${mib(peak - fileBytes)} MiB beyond the weights, ${mib(peak - gpuBytes)} MiB beyond all GPU buffers`;
  console.log(
    `round ${round}: ready after ${ready.toFixed(2)} s (processor ${processor.toFixed(2)} s) · peak ${mib(peak)} MiB, ${beyond} · ` +
      `a pair's logit ${logit?.toFixed(4)} · load ${loadavg()[0]?.toFixed(1)}`,
  );
}
