import { WgrankError } from '../errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { StagingRing } from '../gpu/staging.ts';
import { elementBytes, elements, type Tensor } from '../tensor/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import { convertElements, storageBytes, storageName } from './convert.ts';
import { findNotFinite } from './finite.ts';
import { addReports, exactConversion, type ConversionReport } from './half.ts';
import type { StorageDtype, WeightSource, WeightUpload } from './weights.ts';

/** How far a software adapter's memory is made ready ahead of what is being copied: the GPU's work while the host reads. */
const readyAheadBytes = 256 * 2 ** 20;

/** Elements moved at a time: with 4 bytes each a piece of the staging ring. */
const pieceElements = StagingRing.pieceBytes / 4;

/** Bytes that an upload's tensor takes on the GPU. */
export function uploadBytes({ tensor }: WeightUpload): number {
  return Math.ceil((elements(tensor.shape) * elementBytes[tensor.dtype]) / 4) * 4;
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
 * Streams a checkpoint into its buffers, from file to mapped memory where the dtype stays as it is.
 * @param makeReady is called with buffers some time before they are filled
 * @returns how exact the conversion to the GPU's dtype was
 * @throws WgrankError `numeric-range` for a weight that is NaN or infinite; `checkpoint-invalid`, `device-lost`
 */
export async function uploadWeights(
  gpu: Gpu,
  checkpoint: Checkpoint,
  uploads: readonly WeightUpload[],
  buffers: ReadonlyMap<Tensor, GPUBuffer>,
  makeReady?: (buffers: readonly GPUBuffer[]) => Promise<void>,
): Promise<ConversionReport> {
  const ring = new StagingRing(gpu);
  const reader = new ElementReader(checkpoint);
  try {
    let filled = 0;
    let ready = 0;
    let next = 0;
    for (const { tensor, sources, compute } of uploads) {
      const coming: GPUBuffer[] = [];
      for (; next < uploads.length && ready <= filled + readyAheadBytes; next++) {
        const buffer = buffers.get(uploads[next]!.tensor)!;
        coming.push(buffer);
        ready += buffer.size;
      }
      if (coming.length > 0) await makeReady?.(coming);
      filled += buffers.get(tensor)!.size;
      if (compute) await writeValues(ring, buffers.get(tensor)!, await compute((source) => reader.values(source)));
      const dtype = tensor.dtype as StorageDtype;
      const size = elementBytes[dtype];
      let done = 0;
      for (const source of sources) {
        for (let at = 0; at < source.elements; at += pieceElements) {
          const count = Math.min(pieceElements, source.elements - at);
          const fill = (into: Uint8Array) => reader.read(source, at, dtype, into);
          await ring.write(buffers.get(tensor)!, done * size, count * size, fill);
          done += count;
        }
      }
    }
    await ring.finish();
  } finally {
    ring.destroy();
  }
  return reader.report;
}

function refuseNotFinite({ name, dtype }: WeightSource['info'], first: number, bytes: Uint8Array): void {
  const found = findNotFinite(dtype, bytes);
  if (found < 0) return;
  const what = `element ${first + found} of ${JSON.stringify(name)} is NaN or infinite (a damaged export?)`;
  throw new WgrankError('numeric-range', 'weights', what);
}

async function writeValues(ring: StagingRing, target: GPUBuffer, values: Float32Array): Promise<void> {
  for (let at = 0; at < values.length; at += pieceElements) {
    const piece = values.subarray(at, at + pieceElements);
    const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
    await ring.write(target, at * 4, bytes.byteLength, (into) => into.set(bytes));
  }
}

/** Reads elements in the GPU's dtype and keeps count of what that lost. */
class ElementReader {
  report: ConversionReport = exactConversion;
  readonly #checkpoint: Checkpoint;
  #stored = new Uint8Array(0);

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  async read({ info, firstElement }: WeightSource, at: number, dtype: StorageDtype, into: Uint8Array): Promise<void> {
    const size = storageBytes[info.dtype];
    const begin = (firstElement + at) * size;
    if (storageName[info.dtype] === dtype) {
      await this.#checkpoint.read(info.name, begin, into);
      return refuseNotFinite(info, firstElement + at, into);
    }
    const bytes = (into.byteLength / elementBytes[dtype]) * size;
    if (this.#stored.length < bytes) this.#stored = new Uint8Array(bytes);
    const stored = this.#stored.subarray(0, bytes);
    await this.#checkpoint.read(info.name, begin, stored);
    refuseNotFinite(info, firstElement + at, stored);
    this.report = addReports(this.report, convertElements(info.dtype, dtype, stored, into));
  }

  async values(source: WeightSource): Promise<Float32Array> {
    const values = new Float32Array(source.elements);
    await this.read(source, 0, 'f32', new Uint8Array(values.buffer));
    return values;
  }
}
