/**
 * First use of fresh buffers on a software adapter: one thread's copy, or the pages touched by all cores and then the copy.
 *
 *   npx tsx bench/ops/touch-pages.bench.ts [--mib 512] [--rounds 3]
 */
import { parseArgs } from 'node:util';
import { touchPages } from '../../src/ops/touch-pages.ts';
import { testGpu } from '../../test/support/op-harness.ts';

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '512' }, rounds: { type: 'string', default: '3' } },
});
const { gpu, pipelines } = await testGpu();
const bytes = 32 * 2 ** 20;
const count = Math.ceil(Number(values.mib) / 32);
const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
const source = gpu.createBuffer('source', bytes, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
gpu.device.queue.writeBuffer(source, 0, new Uint8Array(bytes));
await gpu.idle();

async function firstUse(touched: boolean): Promise<number> {
  const buffers = Array.from({ length: count }, () => gpu.createBuffer('fresh', bytes, usage));
  const started = performance.now();
  if (touched) await touchPages(gpu, pipelines, buffers);
  const encoder = gpu.device.createCommandEncoder();
  for (const buffer of buffers) encoder.copyBufferToBuffer(source, 0, buffer, 0, bytes);
  gpu.device.queue.submit([encoder.finish()]);
  await gpu.idle();
  const seconds = (performance.now() - started) / 1000;
  for (const buffer of buffers) gpu.destroyBuffer(buffer);
  return seconds;
}

console.log(gpu.traits.adapter);
await firstUse(true); // compiles
for (let round = 1; round <= Number(values.rounds); round++) {
  const [plain, touched] = [await firstUse(false), await firstUse(true)];
  console.log(`${values.mib} MiB: copied ${plain.toFixed(2)} s, touched first ${touched.toFixed(2)} s`);
}
process.exit();
