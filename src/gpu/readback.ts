import type { Gpu } from './gpu.ts';

/** Recycled buffers that carry results from GPU to host, so that several batches can be on their way at once. */
export class ReadbackRing {
  readonly #gpu: Gpu;
  readonly #bytes: number;
  readonly #free: GPUBuffer[] = [];
  #made = 0;

  /** @param bytes largest result */
  constructor(gpu: Gpu, bytes: number) {
    this.#gpu = gpu;
    this.#bytes = bytes;
  }

  /**
   * Copies `bytes` of `source` at the end of `encoder`, submits the commands, and reads the copy.
   * @returns the bytes, in a buffer of their own
   * @throws WgrankError `device-lost`, `gpu-error`
   */
  async submitAndRead(
    encoder: GPUCommandEncoder,
    source: GPUBuffer,
    offset: number,
    bytes: number,
  ): Promise<ArrayBuffer> {
    const { device } = this.#gpu;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const slot = this.#free.pop() ?? this.#gpu.createBuffer(`readback ${this.#made++}`, this.#bytes, usage);
    encoder.copyBufferToBuffer(source, offset, slot, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await this.#gpu.ask(() => slot.mapAsync(GPUMapMode.READ, 0, bytes));
    const result = slot.getMappedRange(0, bytes).slice(0);
    slot.unmap();
    this.#free.push(slot);
    return result;
  }

  /** Frees the slots that are not in use. */
  destroy(): void {
    for (const slot of this.#free.splice(0)) this.#gpu.destroyBuffer(slot);
  }
}
