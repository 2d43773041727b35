import { WgrankError } from '../errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { PipelineCache } from '../gpu/pipelines.ts';
import { foldGroups } from '../graph/graph.ts';
import { packedBytes, panelColumns } from '../ops/matmul.ts';
import { packedWords, packPanelsShader } from '../ops/pack-panels.ts';
import { elementBytes, elements, type Tensor } from '../tensor/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import { convertElements, storageBytes } from './convert.ts';
import { addReports, exactConversion, type ConversionReport } from './half.ts';
import type { StorageDtype, WeightSource, WeightUpload } from './weights.ts';

/** Host memory of one slice; three of them are all that an upload holds, whatever the model. */
const sliceBytes = 32 * 2 ** 20;
/** Dawn keeps its own copy of what is written until the GPU has taken it: wait before more than this is pending. */
const pendingBytes = 64 * 2 ** 20;

/** Bytes that an upload's tensor takes on the GPU. */
export function uploadBytes({ tensor, layout }: WeightUpload): number {
  if (layout === 'plain') return Math.ceil((elements(tensor.shape) * elementBytes[tensor.dtype]) / 4) * 4;
  const [n, k] = tensor.shape as readonly [number, number];
  return packedBytes(n, k, tensor.dtype);
}

/** Makes the buffers. @throws WgrankError `out-of-memory` before a byte is moved */
export async function allocateWeights(gpu: Gpu, uploads: readonly WeightUpload[]): Promise<Map<Tensor, GPUBuffer>> {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const limit = gpu.limits.maxStorageBufferBindingSize;
  return gpu.checked('weights', () => {
    const buffers = new Map<Tensor, GPUBuffer>();
    for (const upload of uploads) {
      const bytes = uploadBytes(upload);
      if (bytes > limit) {
        throw new WgrankError(
          'out-of-memory',
          'weights',
          `${upload.tensor.name} needs ${bytes} bytes (the adapter binds at most ${limit})`,
        );
      }
      buffers.set(upload.tensor, gpu.createBuffer(upload.tensor.name, bytes, usage));
    }
    return buffers;
  });
}

/**
 * Streams a checkpoint into its buffers: slices are read while the one before is converted and written.
 * @returns how exact the conversion to the GPU's dtype was
 */
export async function uploadWeights(
  gpu: Gpu,
  pipelines: PipelineCache,
  checkpoint: Checkpoint,
  uploads: readonly WeightUpload[],
  buffers: ReadonlyMap<Tensor, GPUBuffer>,
): Promise<ConversionReport> {
  const packer = new Packer(gpu, pipelines);
  const converted = new Uint8Array(sliceBytes);
  const hosts = [new Uint8Array(sliceBytes), new Uint8Array(sliceBytes)];
  const slices = uploads.flatMap((upload) => slicesOf(upload));
  const read = (i: number): Promise<void> | undefined => {
    const slice = slices[i];
    if (!slice) return undefined;
    const size = storageBytes[slice.source.info.dtype];
    const into = hosts[i % 2]!.subarray(0, slice.elements * size);
    const pending = checkpoint.read(slice.source.info.name, slice.firstElement * size, into);
    pending.catch(() => undefined); // awaited below
    return pending;
  };
  let report = exactConversion;
  let pending = 0;
  try {
    let ready = read(0);
    for (const [i, slice] of slices.entries()) {
      await ready;
      ready = read(i + 1);
      const { upload, source } = slice;
      const stored = hosts[i % 2]!.subarray(0, slice.elements * storageBytes[source.info.dtype]);
      const dtype = upload.tensor.dtype as StorageDtype;
      const { bytes, report: inexact } = convertElements(source.info.dtype, dtype, stored, converted);
      report = addReports(report, inexact);
      const target = buffers.get(upload.tensor)!;
      if (upload.layout === 'panels') await packer.add(bytes, upload, slice, target);
      else writePlain(gpu, target, slice.targetElement * elementBytes[dtype], bytes);
      pending += bytes.byteLength;
      if (pending < pendingBytes) continue;
      await gpu.idle();
      pending = 0;
    }
    await gpu.idle();
  } finally {
    packer.destroy();
  }
  return report;
}

/** A run of elements that fits a host buffer, with its place in source and target. */
interface Slice {
  readonly upload: WeightUpload;
  readonly source: WeightSource;
  readonly firstElement: number;
  readonly elements: number;
  /** First element in the target, in checkpoint order. */
  readonly targetElement: number;
}

function slicesOf(upload: WeightUpload): Slice[] {
  const slices: Slice[] = [];
  const columns = upload.tensor.shape.at(-1) as number;
  const unit = upload.layout === 'panels' ? columns * panelColumns : 2; // whole panels, or whole words of halves
  let target = 0;
  for (const source of upload.sources) {
    const room = Math.floor(sliceBytes / 4 / unit) * unit;
    for (let first = 0; first < source.elements; first += room) {
      const count = Math.min(room, source.elements - first);
      slices.push({
        upload,
        source,
        firstElement: source.firstElement + first,
        elements: count,
        targetElement: target,
      });
      target += count;
    }
  }
  return slices;
}

/** Writes bytes whose number need not be a multiple of 4: the last word is filled up with zeros. */
function writePlain(gpu: Gpu, target: GPUBuffer, offset: number, bytes: Uint8Array): void {
  const whole = bytes.byteLength & ~3;
  gpu.device.queue.writeBuffer(target, offset, bytes.buffer as ArrayBuffer, bytes.byteOffset, whole);
  if (whole === bytes.byteLength) return;
  const rest = new Uint8Array(4);
  rest.set(bytes.subarray(whole));
  gpu.device.queue.writeBuffer(target, offset + whole, rest);
}

/** Turns slices in checkpoint order into panels on the GPU, through one staging buffer that the queue's order protects. */
class Packer {
  readonly #gpu: Gpu;
  readonly #pipelines: PipelineCache;
  readonly #staging: GPUBuffer;
  readonly #params: GPUBuffer;

  constructor(gpu: Gpu, pipelines: PipelineCache) {
    this.#gpu = gpu;
    this.#pipelines = pipelines;
    this.#staging = gpu.createBuffer('staging', sliceBytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
    this.#params = gpu.createBuffer('pack params', 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  }

  async add(bytes: Uint8Array, { tensor, sources }: WeightUpload, slice: Slice, target: GPUBuffer): Promise<void> {
    const { device } = this.#gpu;
    const [n, k] = tensor.shape as readonly [number, number];
    const half = tensor.dtype !== 'f32';
    const rowBytes = k * elementBytes[tensor.dtype];
    const firstRow = slice.targetElement / k;
    const ownRows = slice.elements / k;
    // Stacked layers whose rows do not end with a panel share one: collect them all in the staging buffer before packing.
    const together = sources.length > 1 && sources.some((source) => (source.elements / k) % panelColumns !== 0);
    if (together && n * rowBytes > sliceBytes) {
      throw new WgrankError(
        'model-unsupported',
        'weights',
        `${tensor.name}: stacked layers of ${ownRows} rows (expected a multiple of ${panelColumns} at this size)`,
      );
    }
    device.queue.writeBuffer(
      this.#staging,
      together ? firstRow * rowBytes : 0,
      bytes.buffer as ArrayBuffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
    if (together && firstRow + ownRows < n) return;
    const rows = together ? n : ownRows;
    const firstPanel = together ? 0 : firstRow / panelColumns;
    device.queue.writeBuffer(this.#params, 0, new Uint32Array([rows, k, firstPanel, 0]));
    const pipeline = await this.#pipelines.get(packPanelsShader(half));
    const entries = [this.#params, this.#staging, target].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(...foldGroups(Math.ceil(packedWords(rows, k, half) / 64)));
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  destroy(): void {
    this.#gpu.destroyBuffer(this.#staging);
    this.#gpu.destroyBuffer(this.#params);
  }
}
