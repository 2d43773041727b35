import { afterAll, describe, expect, test } from 'vitest';
import type { Checkpoint, SafetensorsDtype, TensorInfo } from '../../src/checkpoint/checkpoint.ts';
import { allocateWeights, uploadBytes, uploadWeights } from '../../src/checkpoint/upload.ts';
import { Weights, type StorageDtype } from '../../src/checkpoint/weights.ts';
import { Gpu } from '../../src/gpu/gpu.ts';
import { StagingRing } from '../../src/gpu/staging.ts';
import { readWords, testGpu } from '../support/op-harness.ts';

const { gpu: opened } = await testGpu();

/** Weight buffers are not readable by the engine; here they are. */
class ReadableGpu extends Gpu {
  override createBuffer(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const readable = usage & GPUBufferUsage.MAP_WRITE ? usage : usage | GPUBufferUsage.COPY_SRC;
    return super.createBuffer(label, bytes, readable);
  }
}
const gpu = new ReadableGpu(opened.device, opened.traits);
const before = gpu.bytes;
afterAll(() => expect(gpu.bytes).toBe(before));

/** A checkpoint in memory. */
function inMemory(tensors: Readonly<Record<string, { dtype: SafetensorsDtype; shape: number[]; bytes: Uint8Array }>>) {
  const infos = Object.entries(tensors).map(
    ([name, { dtype, shape, bytes }]) =>
      [name, { name, dtype, shape, byteLength: bytes.length } as TensorInfo] as const,
  );
  const checkpoint: Checkpoint = {
    tensors: new Map(infos),
    async read(name, begin, into) {
      into.set(tensors[name]!.bytes.subarray(begin, begin + into.length));
    },
    close: async () => undefined,
  };
  return checkpoint;
}

const f32 = (...shape: number[]) => {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) values[i] = (i % 1021) / 8 - 60;
  return { dtype: 'F32' as const, shape, bytes: new Uint8Array(values.buffer), values };
};

/** Uploads everything that `read` asks for. @returns each tensor's words, in that order */
async function upload(checkpoint: Checkpoint, storage: StorageDtype, read: (weights: Weights) => void) {
  const weights = Weights.of(checkpoint, storage, gpu.limits.maxStorageBufferBindingSize);
  read(weights);
  const uploads = weights.finish([]);
  const buffers = await allocateWeights(gpu, uploads);
  const report = await uploadWeights(gpu, checkpoint, uploads, buffers);
  const words: Uint32Array[] = [];
  for (const { tensor } of uploads) words.push(await readWords(buffers.get(tensor)!));
  for (const buffer of buffers.values()) gpu.destroyBuffer(buffer);
  return { report, words, bytes: uploads.map(uploadBytes) };
}

const asFloats = (words: Uint32Array, count: number) => new Float32Array(words.buffer, 0, count);

describe('uploading', () => {
  test('keeps bytes as they are where the dtype stays, and leaves no buffer behind', async () => {
    const layer = f32(12, 8);
    const bias = f32(12);
    const { words, report } = await upload(inMemory({ 'a.weight': layer, 'a.bias': bias }), 'f32', (weights) =>
      weights.linear('a', 12, 8),
    );
    expect(asFloats(words[0]!, 96)).toEqual(layer.values);
    expect(asFloats(words[1]!, 12)).toEqual(bias.values);
    expect(report).toEqual({ overflow: 0, underflow: 0, inexact: 0 });
  });

  test('stacks layers row by row', async () => {
    const parts = { 'k.weight': f32(4, 8), 'k.bias': f32(4), 'v.weight': f32(4, 8), 'v.bias': f32(4) };
    parts['v.weight'].values.reverse();
    const { words } = await upload(inMemory(parts), 'f32', (weights) => weights.stackedLinear(['k', 'v'], 4, 8));
    expect(asFloats(words[0]!, 64)).toEqual(Float32Array.of(...parts['k.weight'].values, ...parts['v.weight'].values));
    expect(asFloats(words[1]!, 8)).toEqual(Float32Array.of(...parts['k.bias'].values, ...parts['v.bias'].values));
  });

  test('takes one row of a matrix, and converts with a count of what was lost', async () => {
    const head = f32(3, 4);
    head.values.set([1, 2 ** -30, 1e6, 0.1], 4);
    const table = f32(2, 4);
    table.values.set([1, 0.1, 2 ** -30, 1e6, 2, 3, 4, 5]);
    const checkpoint = inMemory({ head, table });
    const { words, report, bytes } = await upload(checkpoint, 'f16', (weights) => {
      weights.row('head', [3, 4], 1);
      weights.wholeTable('table', 2, 4);
    });
    expect(asFloats(words[0]!, 4)).toEqual(Float32Array.of(1, 2 ** -30, 1e6, 0.1)); // vectors stay f32
    expect(report).toEqual({ overflow: 1, underflow: 1, inexact: 3 });
    expect([...new Uint16Array(words[1]!.buffer, 0, 8)]).toEqual([
      0x3c00, 0x2e66, 0x0000, 0x7c00, 0x4000, 0x4200, 0x4400, 0x4500,
    ]);
    expect(bytes).toEqual([16, 16]);
  });

  test('carries tensors longer than all staging slots together, and hundreds of short ones', async () => {
    const columns = 1024;
    const rows = Math.ceil((4.5 * StagingRing.pieceBytes) / (4 * columns));
    const long = f32(rows, columns);
    const short = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`v${i}`, f32(1 + (i % 7))]));
    const { words } = await upload(inMemory({ long, ...short }), 'f32', (weights) => {
      weights.table('long', rows, columns);
      for (const [name, { shape }] of Object.entries(short)) weights.vector(name, shape[0]!);
    });
    const parts = words.length - 300;
    let at = 0;
    for (const part of words.slice(0, parts)) {
      const expected = Buffer.from(long.bytes.buffer, 4 * at, 4 * part.length);
      expect(Buffer.from(part.buffer).equals(expected)).toBe(true);
      at += part.length;
    }
    expect(at).toBe(rows * columns);
    Object.values(short).forEach(({ values }, i) => {
      expect(asFloats(words[parts + i]!, values.length)).toEqual(values);
    });
  });

  test('a tensor beyond the adapter’s binding is refused before anything is moved', async () => {
    const rows = gpu.limits.maxStorageBufferBindingSize / 4096 + 1;
    const info = { name: 'w', dtype: 'F32', shape: [rows, 1024], byteLength: rows * 4096 } as const;
    const checkpoint: Checkpoint = {
      tensors: new Map([['w', info]]),
      read: () => Promise.reject(new Error('read')),
      close: async () => undefined,
    };
    const weights = Weights.of(checkpoint, 'f32', gpu.limits.maxStorageBufferBindingSize);
    weights.wholeTable('w', rows, 1024);
    await expect(allocateWeights(gpu, weights.finish([]))).rejects.toMatchObject({ code: 'out-of-memory' });
  });

  test.each([
    ['F32', 'f32', new Uint8Array(new Float32Array([1, 2, 3, Infinity]).buffer)],
    ['F32', 'f16', new Uint8Array(new Float32Array([1, 2, 3, Number.NaN]).buffer)],
    ['F16', 'f16', new Uint8Array(new Uint16Array([0x7bff, 0xfbff, 1, 0xfc00]).buffer)],
    ['F16', 'f32', new Uint8Array(new Uint16Array([0x7bff, 0xfbff, 1, 0x7e01]).buffer)],
    ['BF16', 'bf16', new Uint8Array(new Uint16Array([0x7f7f, 0xff7f, 1, 0x7f80]).buffer)],
  ] as const)('a weight of %s to %s that is no number is refused with its place', async (dtype, storage, bytes) => {
    const checkpoint = inMemory({ w: { dtype, shape: [1, 4], bytes } });
    const weights = Weights.of(checkpoint, storage, 2 ** 20);
    weights.wholeTable('w', 1, 4);
    const uploads = weights.finish([]);
    const buffers = await allocateWeights(gpu, uploads);
    await expect(uploadWeights(gpu, checkpoint, uploads, buffers)).rejects.toMatchObject({
      code: 'numeric-range',
      message: '[weights] element 3 of "w" is NaN or infinite (a damaged export?)',
    });
    for (const buffer of buffers.values()) gpu.destroyBuffer(buffer);
  });

  test('a failing read fails the upload and frees the staging slots', async () => {
    const layer = f32(4, 4);
    const checkpoint = { ...inMemory({ w: layer }), read: () => Promise.reject(new Error('the disk is gone')) };
    const weights = Weights.of(checkpoint, 'f32', 2 ** 20);
    weights.wholeTable('w', 4, 4);
    const uploads = weights.finish([]);
    const buffers = await allocateWeights(gpu, uploads);
    await expect(uploadWeights(gpu, checkpoint, uploads, buffers)).rejects.toThrow('the disk is gone');
    for (const buffer of buffers.values()) gpu.destroyBuffer(buffer);
  });
});
