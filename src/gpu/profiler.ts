import { WgrankError } from '../errors.ts';
import type { Gpu } from './gpu.ts';

export interface LaunchTime {
  readonly op: string;
  readonly milliseconds: number;
}

/** Timestamps before and after each of a number of passes. */
export class Profiler {
  readonly #gpu: Gpu;
  readonly #count: number;
  readonly #queries: GPUQuerySet;

  /** @throws WgrankError `gpu-error` where the adapter has no timestamps */
  constructor(gpu: Gpu, count: number) {
    if (!gpu.traits.timestamps) {
      throw new WgrankError('gpu-error', 'profiler', `${gpu.traits.adapter} has no timestamp-query`);
    }
    this.#gpu = gpu;
    this.#count = count;
    this.#queries = gpu.device.createQuerySet({ type: 'timestamp', count: 2 * count });
  }

  writes(pass: number): GPUComputePassTimestampWrites {
    return { querySet: this.#queries, beginningOfPassWriteIndex: 2 * pass, endOfPassWriteIndex: 2 * pass + 1 };
  }

  /** Submits, waits, and names each pass's time. */
  async finish(encoder: GPUCommandEncoder, names: readonly string[]): Promise<LaunchTime[]> {
    const bytes = 16 * this.#count;
    const resolved = this.#gpu.createBuffer(
      'timestamps',
      bytes,
      GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    );
    const mapped = this.#gpu.createBuffer('timestamps read', bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    encoder.resolveQuerySet(this.#queries, 0, 2 * this.#count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, mapped, 0, bytes);
    this.#gpu.device.queue.submit([encoder.finish()]);
    await this.#gpu.ask(() => mapped.mapAsync(GPUMapMode.READ));
    const times = new BigUint64Array(mapped.getMappedRange().slice(0));
    this.#gpu.destroyBuffer(mapped);
    this.#gpu.destroyBuffer(resolved);
    this.#queries.destroy();
    return names.map((op, i) => ({ op, milliseconds: Number(times[2 * i + 1]! - times[2 * i]!) / 1e6 }));
  }
}
