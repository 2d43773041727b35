import type { Gpu } from './gpu.ts';

/** Bytes of a slot, and slots: while the GPU copies one, the next is filled. */
const slotBytes = 32 * 2 ** 20;
const slotCount = 3;

interface Slot {
  readonly buffer: GPUBuffer;
  /** Resolves when the GPU has copied what the slot held, and it can be written again. */
  writable: Promise<void>;
}

interface Copy {
  readonly from: number;
  readonly target: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Recycled mapped buffers that carry weights from host to GPU. What is written goes straight into memory that the GPU copies
 * from, and host memory stays at three slots whatever the model's size. (`queue.writeBuffer` would take a fresh staging
 * buffer for every large write, and copy twice.)
 */
export class StagingRing {
  /** Most bytes of one `write`. */
  static readonly pieceBytes = slotBytes;
  /** Bytes of all slots. */
  static readonly bytes = slotBytes * slotCount;

  readonly #gpu: Gpu;
  readonly #slots: Slot[];
  #at = 0;
  #view: Uint8Array | undefined;
  #used = 0;
  #copies: Copy[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
    this.#slots = Array.from({ length: slotCount }, (_, i) => {
      const buffer = gpu.createBuffer(`staging ${i}`, slotBytes, usage);
      const writable = gpu.ask(() => buffer.mapAsync(GPUMapMode.WRITE));
      writable.catch(() => undefined); // seen by the next write
      return { buffer, writable };
    });
  }

  /**
   * Copies bytes to `target`; calls must not overlap.
   * @param offset in the target, a multiple of 4
   * @param bytes  at most `pieceBytes`; the target must have room for the next multiple of 4, which is filled with zeros
   * @param fill   writes exactly `bytes` bytes
   * @throws WgrankError `device-lost`, `gpu-error`, or whatever `fill` throws
   */
  async write(
    target: GPUBuffer,
    offset: number,
    bytes: number,
    fill: (into: Uint8Array) => void | Promise<void>,
  ): Promise<void> {
    const whole = Math.ceil(bytes / 4) * 4;
    if (this.#used + whole > slotBytes) this.#submit();
    const slot = this.#slots[this.#at]!;
    if (!this.#view) {
      await slot.writable;
      this.#view = new Uint8Array(slot.buffer.getMappedRange());
    }
    await fill(this.#view.subarray(this.#used, this.#used + bytes));
    this.#view.fill(0, this.#used + bytes, this.#used + whole);
    this.#copies.push({ from: this.#used, target, offset, bytes: whole });
    this.#used += whole;
  }

  /** Sends what is left and waits until everything has arrived. */
  async finish(): Promise<void> {
    this.#submit();
    await this.#gpu.idle();
  }

  destroy(): void {
    for (const { buffer } of this.#slots) this.#gpu.destroyBuffer(buffer);
  }

  #submit(): void {
    if (this.#copies.length === 0) return;
    const slot = this.#slots[this.#at]!;
    slot.buffer.unmap();
    const encoder = this.#gpu.device.createCommandEncoder();
    for (const { from, target, offset, bytes } of this.#copies) {
      encoder.copyBufferToBuffer(slot.buffer, from, target, offset, bytes);
    }
    this.#gpu.device.queue.submit([encoder.finish()]);
    slot.writable = this.#gpu.ask(() => slot.buffer.mapAsync(GPUMapMode.WRITE));
    slot.writable.catch(() => undefined); // seen by the next write
    this.#at = (this.#at + 1) % slotCount;
    this.#view = undefined;
    this.#used = 0;
    this.#copies = [];
  }
}
