import { openGpu } from '../../src/gpu/dawn-node.ts';
import { Gpu } from '../../src/gpu/gpu.ts';
import { PipelineCache } from '../../src/gpu/pipelines.ts';
import { ReadbackRing } from '../../src/gpu/readback.ts';
import { readShaderFile } from '../../src/gpu/shader-files-node.ts';
import { Graph } from '../../src/graph/graph.ts';
import { layOut } from '../../src/graph/layout.ts';
import { Plan, type HostArray } from '../../src/graph/plan.ts';
import { elementBytes, elements, type Dim, type Dtype, type Sizes, type Tensor } from '../../src/tensor/tensor.ts';

/** What memory holds before a kernel runs: a NaN that no kernel computes by chance. */
export const poison = 0x7fc0dead;

/** Rows that buffers are longer than the batch: more than the largest tile, so that a tile without its guard writes there. */
const slackRows = 70;

/** Remembers the latest buffer of each label, so that a test can look beyond what `Plan.run` returns. */
class WatchedGpu extends Gpu {
  readonly made = new Map<string, GPUBuffer>();

  override createBuffer(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const buffer = super.createBuffer(label, bytes, usage);
    this.made.set(label, buffer);
    return buffer;
  }
}

let opened: Promise<{ gpu: WatchedGpu; pipelines: PipelineCache; warnings: readonly string[] }> | undefined;

/** The process's one device. */
export function testGpu() {
  opened ??= openGpu().then(({ gpu: { device, traits, call }, warnings }) => {
    const gpu = new WatchedGpu(device, traits, call);
    return { gpu, warnings, pipelines: new PipelineCache(gpu, readShaderFile) };
  });
  return opened;
}

/** Weights and inputs of one op under test. */
export class OpCase {
  readonly graph = new Graph();
  readonly inputs: Record<string, HostArray> = {};
  readonly weightData = new Map<Tensor, HostArray>();
  sizes: Record<string, number> = {};

  /** A tensor that the host writes. */
  input(name: string, dtype: Dtype, shape: readonly Dim[], data: HostArray): Tensor {
    this.inputs[name] = data;
    return this.graph.input(name, dtype, shape);
  }

  /** @param words the tensor's bytes, as 32-bit words */
  weight(name: string, dtype: Dtype, shape: readonly number[], words: HostArray): Tensor {
    const tensor: Tensor = { name, dtype, shape, role: 'weight' };
    this.weightData.set(tensor, words);
    return tensor;
  }
}

/** An op made ready to run, with its weights on the device. */
export interface PreparedOp {
  readonly op: OpCase;
  readonly plan: Plan;
  release(): void;
}

/**
 * Makes the plan of one op.
 * @param record records the op on the case's graph and returns what to read back
 * @param slack  how much longer than the batch's sizes every named axis may get
 */
export async function prepareOp(record: (op: OpCase) => Tensor | readonly Tensor[], slack = 0): Promise<PreparedOp> {
  const { gpu, pipelines } = await testGpu();
  const op = new OpCase();
  for (const output of [record(op)].flat()) op.graph.output(output);
  const buffers = new Map<Tensor, GPUBuffer>();
  for (const [tensor, words] of op.weightData) buffers.set(tensor, upload(gpu, words));
  gpu.made.clear();
  const plan = await Plan.make(gpu, pipelines, op.graph, capacityOf(op, slack), (tensor) => buffers.get(tensor)!);
  const release = () => {
    plan.destroy();
    for (const buffer of buffers.values()) gpu.destroyBuffer(buffer);
  };
  return { op, plan, release };
}

/**
 * Runs one op and reads its outputs. Every buffer is longer than needed and filled with NaN before: elements that the kernel
 * leaves out show in the result, reads beyond an input show as NaN, and writes beyond an output are looked for.
 */
export async function runOps(record: (op: OpCase) => readonly Tensor[]): Promise<Float32Array[]> {
  const { gpu } = await testGpu();
  const { op, plan, release } = await prepareOp(record, slackRows);
  try {
    for (const [label, buffer] of gpu.made) {
      const input = op.graph.inputs.find(({ name }) => name === label);
      if (label.startsWith('arena ') || input?.dtype === 'f32') fill(gpu, buffer);
    }
    const results = await plan.run(op.sizes, op.inputs);
    await assertRestUntouched(gpu, op);
    return results;
  } finally {
    release();
  }
}

/** `runOps` for one output. */
export async function runOp(record: (op: OpCase) => Tensor): Promise<Float32Array> {
  const [result] = await runOps((op) => [record(op)]);
  return result!;
}

/** A buffer's words. */
export async function readWords(buffer: GPUBuffer): Promise<Uint32Array> {
  const { gpu } = await testGpu();
  const ring = new ReadbackRing(gpu, buffer.size);
  const bytes = await ring.submitAndRead(gpu.device.createCommandEncoder(), buffer, 0, buffer.size);
  ring.destroy();
  return new Uint32Array(bytes);
}

/** Fills a buffer with the poison. */
export function fill(gpu: Gpu, buffer: GPUBuffer): void {
  gpu.device.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(poison));
}

function capacityOf(op: OpCase, slack: number): Sizes {
  return Object.fromEntries(Object.entries(op.sizes).map(([axis, size]) => [axis, size + slack]));
}

function upload(gpu: Gpu, words: HostArray): GPUBuffer {
  const buffer = gpu.createBuffer('weight', words.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
  gpu.device.queue.writeBuffer(buffer, 0, words.buffer as ArrayBuffer, words.byteOffset, words.byteLength);
  return buffer;
}

/** Nothing but the intermediates' own elements may have been written. */
async function assertRestUntouched(gpu: WatchedGpu, op: OpCase): Promise<void> {
  const { maxBufferSize: buffer, maxStorageBufferBindingSize: binding } = gpu.limits;
  const { places, arenas } = layOut(op.graph, capacityOf(op, slackRows), { buffer, binding });
  for (const arena of arenas.keys()) {
    const words = await readWords(gpu.made.get(`arena ${arena}`)!);
    for (const [tensor, place] of places) {
      if (place.arena !== arena) continue;
      const bytes = elements(tensor.shape, op.sizes) * elementBytes[tensor.dtype];
      words.fill(poison, place.offset / 4, (place.offset + bytes) / 4);
    }
    const stray = words.findIndex((word) => word !== poison);
    if (stray >= 0) throw new Error(`arena ${arena} was written at word ${stray}, which belongs to no tensor`);
  }
}
