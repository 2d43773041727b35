import { WgrankError } from '../errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { PipelineCache } from '../gpu/pipelines.ts';
import { Profiler, type LaunchTime } from '../gpu/profiler.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { elementBytes, elements, owner, sizeOf, type Sizes, type Tensor } from '../tensor/tensor.ts';
import type { Graph, Launch } from './graph.ts';
import { capacityBytes, layOut, type Layout } from './layout.ts';

/** Finds a weight's buffer; the whole buffer is bound. */
export type WeightBuffers = (tensor: Tensor) => GPUBuffer;

/** Rows of an output, and where in a buffer they go. */
export interface RowCopy {
  readonly output: Tensor;
  readonly first: number;
  readonly rows: number;
  readonly target: GPUBuffer;
  /** Row of the target. */
  readonly at: number;
}

export type HostArray = Uint32Array | Int32Array | Float32Array;

/** Launches of one submit: drivers watch how long a submit takes, and a large model's whole batch takes seconds. */
const launchesPerSubmit = 16;
/** Workgroups along one axis that every adapter runs. */
const mostGroups = 65_535;

interface Step {
  readonly launch: Launch;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  /** Byte offset of the launch's `Params` in the uniform buffer. */
  readonly paramsAt: number;
}

/**
 * A graph made ready to run any number of times: arenas, bind groups and pipelines are made once, and a batch only writes
 * its inputs and parameters and encodes one command buffer.
 */
export class Plan {
  readonly #gpu: Gpu;
  readonly #graph: Graph;
  readonly #capacity: Sizes;
  readonly #steps: Step[];
  readonly #params: GPUBuffer;
  readonly #hostParams: ArrayBuffer;
  readonly #buffers: Map<Tensor, { buffer: GPUBuffer; offset: number; bytes: number }>;
  readonly #readback: ReadbackRing;

  private constructor(
    gpu: Gpu,
    graph: Graph,
    capacity: Sizes,
    steps: Step[],
    params: GPUBuffer,
    buffers: Map<Tensor, { buffer: GPUBuffer; offset: number; bytes: number }>,
  ) {
    this.#gpu = gpu;
    this.#graph = graph;
    this.#capacity = capacity;
    this.#steps = steps;
    this.#params = params;
    this.#hostParams = new ArrayBuffer(params.size);
    this.#buffers = buffers;
    const largest = Math.max(...graph.outputs.map((tensor) => capacityBytes(tensor, capacity)));
    this.#readback = new ReadbackRing(gpu, largest);
  }

  /**
   * Allocates and compiles.
   * @param capacity the largest value of every named axis
   * @throws WgrankError `out-of-memory`, `shader-invalid`, `gpu-error`
   */
  static async make(
    gpu: Gpu,
    pipelines: PipelineCache,
    graph: Graph,
    capacity: Sizes,
    weights: WeightBuffers,
  ): Promise<Plan> {
    const { maxBufferSize, maxStorageBufferBindingSize, minUniformBufferOffsetAlignment } = gpu.limits;
    const layout = layOut(graph, capacity, { buffer: maxBufferSize, binding: maxStorageBufferBindingSize });
    checkGroups(graph, capacity);
    const compiled = await Promise.all(graph.launches.map(({ shader, overrides }) => pipelines.get(shader, overrides)));
    return gpu.checked('plan', () => {
      const buffers = allocate(gpu, graph, capacity, layout);
      const stride = (bytes: number) =>
        Math.ceil(bytes / minUniformBufferOffsetAlignment) * minUniformBufferOffsetAlignment;
      const offsets: number[] = [];
      let end = 0;
      for (const { params } of graph.launches) {
        offsets.push(end);
        end += stride(Math.max(16, params.length * 4));
      }
      const params = gpu.createBuffer('params', end, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
      const steps = graph.launches.map((launch, i): Step => {
        const bytes = Math.ceil(Math.max(4, launch.params.length * 4) / 16) * 16;
        const entries: GPUBindGroupEntry[] = [
          { binding: 0, resource: { buffer: params, offset: offsets[i]!, size: bytes } },
        ];
        launch.bindings.forEach((tensor, at) => {
          if (!tensor) return;
          const place = buffers.get(owner(tensor));
          const resource = place
            ? { buffer: place.buffer, offset: place.offset, size: place.bytes }
            : { buffer: weights(tensor) };
          entries.push({ binding: at + 1, resource });
        });
        const layout = compiled[i]!.getBindGroupLayout(0);
        const bindGroup = gpu.device.createBindGroup({ label: launch.op, layout, entries });
        return { launch, pipeline: compiled[i]!, bindGroup, paramsAt: offsets[i]! };
      });
      return new Plan(gpu, graph, capacity, steps, params, buffers);
    });
  }

  /**
   * Runs one batch. Calls may overlap: the queue keeps their order.
   * @param sizes  the batch's value of every named axis, within capacity
   * @param inputs host data by input name, exactly as long as the sizes say
   * @returns the outputs' elements, in the order in which the graph named them
   * @throws WgrankError `device-lost`, `gpu-error`, `shape-mismatch`
   */
  async run(sizes: Sizes, inputs: Readonly<Record<string, HostArray>>): Promise<Float32Array[]> {
    this.#write(sizes, inputs);
    const encoder = this.#encode(sizes);
    const reads = this.#graph.outputs.map((tensor, i) => {
      const { buffer, offset } = this.#buffers.get(owner(tensor))!;
      const bytes = elements(tensor.shape, sizes) * elementBytes[tensor.dtype];
      const commands = i === 0 ? encoder : this.#gpu.device.createCommandEncoder();
      return this.#readback.submitAndRead(commands, buffer, offset, bytes);
    });
    return (await Promise.all(reads)).map((bytes) => new Float32Array(bytes));
  }

  /**
   * Runs one batch whose outputs stay on the GPU: rows of them are copied into buffers that other plans read. There is nothing
   * to wait for: the queue keeps the order, and whatever is submitted later finds the rows.
   * @throws WgrankError `shape-mismatch`
   */
  deliver(sizes: Sizes, inputs: Readonly<Record<string, HostArray>>, copies: readonly RowCopy[]): void {
    this.#write(sizes, inputs);
    const encoder = this.#encode(sizes);
    for (const { output, first, rows, target, at } of copies) {
      const { buffer, offset } = this.#buffers.get(owner(output))!;
      const rowBytes = elements(output.shape.slice(1)) * elementBytes[output.dtype];
      encoder.copyBufferToBuffer(buffer, offset + first * rowBytes, target, at * rowBytes, rows * rowBytes);
    }
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** The buffer of a store, for `deliver` of another plan. */
  bufferOf(store: Tensor): GPUBuffer {
    return this.#buffers.get(store)!.buffer;
  }

  /** Submits all launches but the last few. @returns what those are encoded in, to be submitted by the caller */
  #encode(sizes: Sizes): GPUCommandEncoder {
    const { device } = this.#gpu;
    let encoder = device.createCommandEncoder();
    for (let at = 0; at < this.#steps.length; at += launchesPerSubmit) {
      if (at > 0) {
        device.queue.submit([encoder.finish()]);
        encoder = device.createCommandEncoder();
      }
      const pass = encoder.beginComputePass();
      for (const step of this.#steps.slice(at, at + launchesPerSubmit)) encodeStep(pass, step, sizes);
      pass.end();
    }
    return encoder;
  }

  /** Runs one batch with a timestamp pair around every launch: slower, for benches. @returns launches in order */
  async profile(sizes: Sizes, inputs: Readonly<Record<string, HostArray>>): Promise<LaunchTime[]> {
    this.#write(sizes, inputs);
    const profiler = new Profiler(this.#gpu, this.#steps.length);
    const encoder = this.#gpu.device.createCommandEncoder();
    this.#steps.forEach((step, i) => {
      const pass = encoder.beginComputePass({ timestampWrites: profiler.writes(i) });
      encodeStep(pass, step, sizes);
      pass.end();
    });
    return profiler.finish(
      encoder,
      this.#steps.map(({ launch }) => launch.op),
    );
  }

  /** Fills every arena with NaN, so that what a kernel forgets to write shows; for tests. */
  poison(): void {
    const done = new Set(this.#graph.inputs.map((tensor) => this.#buffers.get(tensor)!.buffer));
    for (const [, { buffer }] of this.#buffers) {
      if (done.has(buffer)) continue;
      done.add(buffer);
      this.#gpu.device.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(0x7fc00000));
    }
  }

  /** Frees arenas, inputs, stores and parameters; weights belong to others. */
  destroy(): void {
    this.#readback.destroy();
    for (const buffer of [this.#params, ...[...this.#buffers.values()].map((place) => place.buffer)]) {
      this.#gpu.destroyBuffer(buffer);
    }
  }

  #write(sizes: Sizes, inputs: Readonly<Record<string, HostArray>>): void {
    for (const [axis, limit] of Object.entries(this.#capacity)) {
      if (sizeOf(axis, sizes) > limit) {
        throw new WgrankError(
          'shape-mismatch',
          'plan',
          `${axis} is ${sizes[axis]} (the plan was made for at most ${limit})`,
        );
      }
    }
    const { queue } = this.#gpu.device;
    for (const tensor of this.#graph.inputs) {
      const data = inputs[tensor.name];
      const wanted = elements(tensor.shape, sizes);
      if (data?.length !== wanted) {
        throw new WgrankError(
          'shape-mismatch',
          'plan',
          `input ${tensor.name} has ${data?.length} elements (expected ${wanted})`,
        );
      }
      queue.writeBuffer(
        this.#buffers.get(tensor)!.buffer,
        0,
        data.buffer as ArrayBuffer,
        data.byteOffset,
        data.byteLength,
      );
    }
    const view = new DataView(this.#hostParams);
    for (const { launch, paramsAt } of this.#steps) {
      launch.params.forEach(([type, expression], i) => {
        const value = typeof expression === 'number' ? expression : expression(sizes);
        if (type === 'u') view.setUint32(paramsAt + 4 * i, value, true);
        else view.setFloat32(paramsAt + 4 * i, value, true);
      });
    }
    queue.writeBuffer(this.#params, 0, this.#hostParams);
  }
}

/** @throws WgrankError `out-of-memory` when a full batch asks for more workgroups than an axis has */
function checkGroups(graph: Graph, capacity: Sizes): void {
  for (const { op, groups } of graph.launches) {
    const most = Math.max(...groups(capacity));
    if (most <= mostGroups) continue;
    const rule = `at most ${mostGroups} along an axis: lower --max-batch-tokens`;
    throw new WgrankError('out-of-memory', op, `${most} workgroups with ${JSON.stringify(capacity)} (${rule})`);
  }
}

function encodeStep(pass: GPUComputePassEncoder, step: Step, sizes: Sizes): void {
  const [x, y, z] = step.launch.groups(sizes);
  if (x * y * z === 0) return;
  pass.setPipeline(step.pipeline);
  pass.setBindGroup(0, step.bindGroup);
  pass.dispatchWorkgroups(x, y, z);
}

function allocate(gpu: Gpu, graph: Graph, capacity: Sizes, layout: Layout) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const arenas = layout.arenas.map((bytes, i) => gpu.createBuffer(`arena ${i}`, bytes, usage));
  const buffers = new Map<Tensor, { buffer: GPUBuffer; offset: number; bytes: number }>();
  for (const [tensor, { arena, offset, bytes }] of layout.places) {
    buffers.set(tensor, { buffer: arenas[arena]!, offset, bytes });
  }
  for (const tensor of [...graph.inputs, ...graph.stores]) {
    const bytes = capacityBytes(tensor, capacity);
    buffers.set(tensor, { buffer: gpu.createBuffer(tensor.name, bytes, usage), offset: 0, bytes });
  }
  return buffers;
}
