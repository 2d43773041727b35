import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openGpu } from '../../src/gpu/dawn-node.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { ReadbackRing } from '../../src/gpu/readback.ts';

const words = 64;
const slotBytes = words * 4;

let gpu: Gpu;
let ring: ReadbackRing;
let source: GPUBuffer;
beforeEach(async () => {
  ({ gpu } = await openGpu());
  ring = new ReadbackRing(gpu, slotBytes);
  source = gpu.createBuffer('source', slotBytes, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
});
afterEach(() => gpu.destroy());

const pattern = (seed: number) => Uint32Array.from({ length: words }, (_, i) => 1000 * seed + i);

/** Writes a pattern and reads it back; calls may overlap, since the queue keeps their order. */
async function roundTrip(seed: number): Promise<Uint32Array> {
  gpu.device.queue.writeBuffer(source, 0, pattern(seed));
  const encoder = gpu.device.createCommandEncoder();
  return new Uint32Array(await ring.submitAndRead(encoder, source, 0, slotBytes));
}

it('gives overlapping reads their own bytes', async () => {
  const seeds = [1, 2, 3, 4, 5];
  expect(await Promise.all(seeds.map(roundTrip))).toEqual(seeds.map(pattern));
});

it('gives results that later reads do not change', async () => {
  const first = await roundTrip(1);
  await roundTrip(2);
  expect(first).toEqual(pattern(1));
});

it('recycles its slots', async () => {
  const before = gpu.bytes;
  const make = vi.spyOn(gpu.device, 'createBuffer');
  await Promise.all([1, 2, 3].map(roundTrip));
  expect(make).toHaveBeenCalledTimes(3);
  for (const seed of [4, 5, 6, 7]) expect(await roundTrip(seed)).toEqual(pattern(seed));
  expect(await Promise.all([8, 9, 10].map(roundTrip))).toEqual([8, 9, 10].map(pattern));
  expect(make).toHaveBeenCalledTimes(3);
  expect(gpu.bytes).toBe(before + 3 * slotBytes);
  ring.destroy();
  expect(gpu.bytes).toBe(before);
});

it('reads a part, after the commands that came before it', async () => {
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const copy = gpu.createBuffer('copy', 2 * slotBytes, usage);
  gpu.device.queue.writeBuffer(source, 0, pattern(1));
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(source, 0, copy, slotBytes, slotBytes);
  const part = await ring.submitAndRead(encoder, copy, slotBytes + 12, 20);
  expect([...new Uint32Array(part)]).toEqual([1003, 1004, 1005, 1006, 1007]);
});

it('rejects reads on their way when the device is lost', async () => {
  const reads = [1, 2].map(roundTrip);
  gpu.device.destroy();
  for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'device-lost' });
  await expect(roundTrip(3)).rejects.toMatchObject({ code: 'device-lost' });
});
