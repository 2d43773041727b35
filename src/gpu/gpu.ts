import { WgrankError } from '../errors.ts';

/** What the kernels want to know of an adapter. */
export interface GpuTraits {
  /** Name as the driver gives it. */
  readonly adapter: string;
  /** True for CPU rasterisers (lavapipe, SwiftShader, WARP): they want other tilings than GPUs. */
  readonly software: boolean;
  /** `shader-f16`: 16-bit floats in arithmetic and storage. Kernels work without it. */
  readonly f16: boolean;
  /** Lanes of a subgroup; 0 without the feature, or where programs may get different sizes. */
  readonly subgroupSize: number;
  readonly timestamps: boolean;
}

/** Makes a call into Dawn, and may look after how its promises are polled for. */
export type CallDawn = <T>(work: () => T) => T;

/** What the choice of kernel variants depends on. */
export type KernelTraits = Pick<GpuTraits, 'software' | 'subgroupSize'>;

/**
 * A device with its failures turned into rejections: `failed` rejects on device loss and on errors that no scope caught,
 * and every wait in this project races against it, because a lost device answers most calls as if nothing had happened.
 */
export class Gpu {
  readonly device: GPUDevice;
  readonly traits: GpuTraits;
  readonly call: CallDawn;
  readonly failed: Promise<never>;
  #failure: WgrankError | undefined;
  /** How those who wait are told of a failure. `Promise.race` would keep a reaction of each on `failed` for the device's life. */
  readonly #waiting = new Set<(reason: WgrankError) => void>();
  #bytes = 0;
  #buffers = new Set<GPUBuffer>();

  /** @param call makes every call that Dawn answers with a promise */
  constructor(device: GPUDevice, traits: GpuTraits, call: CallDawn = (work) => work()) {
    this.device = device;
    this.traits = traits;
    this.call = call;
    this.failed = new Promise<never>((_, reject) => {
      const fail = (failure: WgrankError) => {
        reject((this.#failure ??= failure));
        for (const tell of this.#waiting) tell(this.#failure);
      };
      void device.lost.then(({ reason, message }) =>
        fail(
          new WgrankError('device-lost', 'gpu', `the device was lost: ${reason} (${message.trim() || 'no message'})`),
        ),
      );
      device.addEventListener('uncapturederror', (event) => fail(gpuError('gpu', event.error)));
    });
    this.failed.catch(() => undefined); // each waiter sees it through `settled`; an unwatched rejection must not end the process
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /** Bytes of all live buffers made by `createBuffer`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Asks Dawn for something that takes time, and waits for it. @throws WgrankError `device-lost`, `gpu-error` */
  ask<T>(work: () => Promise<T>): Promise<T> {
    return this.settled(this.call(work));
  }

  /** Waits for GPU work. @throws WgrankError `device-lost`, `gpu-error` as soon as the device has failed */
  async settled<T>(work: Promise<T>): Promise<T> {
    let tell: ((reason: WgrankError) => void) | undefined;
    const result = await new Promise<T>((resolve, reject) => {
      work.then(resolve, reject);
      if (this.#failure) reject(this.#failure);
      this.#waiting.add((tell = reject));
    }).finally(() => this.#waiting.delete(tell!));
    if (this.#failure) throw this.#failure;
    return result;
  }

  /** @param bytes rounded up to 4 @throws WgrankError `out-of-memory` when the size exceeds the adapter's limit */
  createBuffer(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    if (size > this.limits.maxBufferSize) {
      throw new WgrankError(
        'out-of-memory',
        'gpu',
        `buffer ${label} needs ${size} bytes (the adapter's largest buffer is ${this.limits.maxBufferSize})`,
      );
    }
    const buffer = this.device.createBuffer({ label, size, usage });
    this.#buffers.add(buffer);
    this.#bytes += size;
    return buffer;
  }

  destroyBuffer(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /**
   * Runs `work` inside validation, out-of-memory and internal error scopes. Buffers that could not be had show up here and
   * nowhere else: `createBuffer` itself never throws for want of memory.
   * @throws WgrankError `out-of-memory`, `gpu-error`
   */
  async checked<T>(where: string, work: () => T | Promise<T>): Promise<T> {
    const filters: GPUErrorFilter[] = ['validation', 'out-of-memory', 'internal'];
    for (const filter of filters) this.device.pushErrorScope(filter);
    let result: T;
    let scopes: Promise<GPUError | null>[];
    try {
      result = await work();
    } finally {
      scopes = filters.map(() => this.call(() => this.device.popErrorScope()));
      for (const scope of scopes) scope.catch(() => undefined);
    }
    const error = (await this.settled(Promise.all(scopes))).find((scope) => scope !== null);
    if (error) throw gpuError(where, error);
    return result;
  }

  /** Waits until everything submitted so far has run. */
  async idle(): Promise<void> {
    await this.ask(() => this.device.queue.onSubmittedWorkDone());
  }

  /** Ends the device and with it every buffer. What waits rejects with `device-lost`, which it would not if buffers went first. */
  destroy(): void {
    this.device.destroy();
    this.#buffers.clear();
    this.#bytes = 0;
  }
}

function gpuError(where: string, error: GPUError): WgrankError {
  const kind = error.constructor.name;
  const code = kind === 'GPUOutOfMemoryError' ? 'out-of-memory' : 'gpu-error';
  return new WgrankError(code, where, `${kind}: ${error.message.trim().split('\n').slice(0, 4).join(' ')}`);
}
