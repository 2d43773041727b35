import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/gpu/dawn-node.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';

const never = () => new Promise<never>(() => {});
const coded = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string });

/** A mistake that no scope catches. */
const makeBadBuffer = (gpu: Gpu) => gpu.device.createBuffer({ label: 'bad', size: 16, usage: 0 });

let gpu: Gpu;
beforeEach(async () => {
  ({ gpu } = await openGpu());
});
afterEach(() => gpu.destroy());

describe('buffers', () => {
  it('counts the bytes of live buffers, rounded up to whole words and at least 16', () => {
    const usage = GPUBufferUsage.STORAGE;
    const sizes = [0, 16, 17, 1001].map((bytes) => gpu.createBuffer('b', bytes, usage).size);
    expect(sizes).toEqual([16, 16, 20, 1004]);
    expect(gpu.bytes).toBe(16 + 16 + 20 + 1004);
  });

  it('forgets a destroyed buffer once, and buffers of others never', () => {
    const buffer = gpu.createBuffer('b', 100, GPUBufferUsage.STORAGE);
    gpu.createBuffer('c', 60, GPUBufferUsage.STORAGE);
    gpu.destroyBuffer(buffer);
    gpu.destroyBuffer(buffer);
    gpu.destroyBuffer(gpu.device.createBuffer({ size: 400, usage: GPUBufferUsage.STORAGE }));
    expect(gpu.bytes).toBe(60);
  });

  it('refuses more than the adapter holds in one buffer, with both numbers', () => {
    const limit = gpu.limits.maxBufferSize;
    const asked = Math.ceil((limit + 1) / 4) * 4;
    expect(() => gpu.createBuffer('table', limit + 1, GPUBufferUsage.STORAGE)).toThrow(
      coded('out-of-memory', `[gpu] buffer table needs ${asked} bytes (the adapter's largest buffer is ${limit})`),
    );
    expect(gpu.bytes).toBe(0);
  });

  it('are gone after destroy', async () => {
    const buffer = gpu.createBuffer('b', 100, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    gpu.destroy();
    expect(gpu.bytes).toBe(0);
    await expect(buffer.mapAsync(GPUMapMode.READ)).rejects.toThrow();
  });
});

describe('checked', () => {
  it('gives the result of work that went well', async () => {
    await expect(gpu.checked('here', async () => 3)).resolves.toBe(3);
  });

  it('turns a validation error into a rejection with its place and text, and the device lives on', async () => {
    await expect(gpu.checked('upload', () => makeBadBuffer(gpu))).rejects.toThrow(
      coded('gpu-error', '[upload] GPUValidationError: Buffer usages must not be 0'),
    );
    await expect(gpu.settled(Promise.resolve('alive'))).resolves.toBe('alive');
    await expect(gpu.checked('again', () => 1)).resolves.toBe(1);
  });

  it('keeps the errors of overlapping calls apart', async () => {
    const outcomes = await Promise.allSettled([
      gpu.checked('first', () => 1),
      gpu.checked('second', () => makeBadBuffer(gpu)),
      gpu.checked('third', () => 3),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('leaves no scope behind when the work throws', async () => {
    const bug = new TypeError('a bug');
    await expect(gpu.checked('here', () => Promise.reject(bug))).rejects.toBe(bug);
    makeBadBuffer(gpu); // a scope left open would swallow this
    await expect(gpu.settled(never())).rejects.toThrow(coded('gpu-error', 'Buffer usages'));
  });
});

describe('failure', () => {
  it('of an error that no scope caught rejects waiting and later work', async () => {
    const waiting = gpu.settled(never());
    makeBadBuffer(gpu);
    const failure = coded('gpu-error', '[gpu] GPUValidationError: Buffer usages must not be 0');
    await expect(waiting).rejects.toThrow(failure);
    await expect(gpu.failed).rejects.toThrow(failure);
    await expect(gpu.settled(Promise.resolve(1))).rejects.toThrow(failure);
    await expect(gpu.checked('later', () => 1)).rejects.toThrow(failure);
    await expect(gpu.idle()).rejects.toThrow(failure);
    gpu.device.destroy();
    await gpu.device.lost;
    await expect(gpu.settled(Promise.resolve(1))).rejects.toThrow(failure); // the first failure stays
  });

  it('by device loss rejects waiting and later work', async () => {
    const buffer = gpu.createBuffer('b', 16, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    const waiting = [never(), buffer.mapAsync(GPUMapMode.READ)].map((work) => gpu.settled(work));
    gpu.device.destroy();
    const failure = coded('device-lost', '[gpu] the device was lost: destroyed (');
    for (const work of waiting) await expect(work).rejects.toThrow(failure);
    await expect(gpu.failed).rejects.toThrow(failure);
    await expect(gpu.settled(Promise.resolve(1))).rejects.toThrow(failure);
    await expect(gpu.idle()).rejects.toThrow(failure);
  });

  it('by destroy reaches work that waits for a buffer', async () => {
    const buffer = gpu.createBuffer('b', 16, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    const waiting = gpu.settled(buffer.mapAsync(GPUMapMode.READ));
    gpu.destroy();
    await expect(waiting).rejects.toThrow(coded('device-lost', '[gpu] the device was lost: destroyed ('));
  });
});

it('idle waits for what was submitted', async () => {
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [source, target] = [
    gpu.createBuffer('a', 16, usage),
    gpu.createBuffer('b', 16, usage | GPUBufferUsage.STORAGE),
  ];
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(source, 0, target, 0, 16);
  gpu.device.queue.submit([encoder.finish()]);
  await expect(gpu.idle()).resolves.toBeUndefined();
});

it('a wait leaves nothing behind', async () => {
  // What Promise.race would keep on `failed` for each wait comes to 300 bytes: 15 MB a round.
  const round = async () => {
    for (let i = 0; i < 50_000; i++) await gpu.settled(Promise.resolve(i));
    return process.memoryUsage().heapUsed;
  };
  const used: number[] = [];
  for (let i = 0; i < 6; i++) used.push(await round());
  expect(Math.min(...used.slice(3)) - Math.min(...used.slice(0, 3))).toBeLessThan(15e6);
});
