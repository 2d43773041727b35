import type { TensorInfo, WeightStorage } from './checkpoint.ts';
import { storageBytes } from './convert.ts';
import type { TensorIndex } from './weights.ts';

/**
 * The tensors of a checkpoint that is not there: whatever a model asks for is taken to exist, under its first spelling and in
 * the shape that config.json implies, so that a model can be measured before it is downloaded.
 */
export class ExpectedTensors implements TensorIndex {
  readonly #asked = new Map<string, TensorInfo>();
  readonly #dtype: WeightStorage;

  /** @param dtype of every tensor */
  constructor(dtype: WeightStorage) {
    this.#dtype = dtype;
  }

  has(): boolean {
    return true;
  }

  get(name: string, shape: readonly number[]): TensorInfo {
    const byteLength = shape.reduce((product, size) => product * size, storageBytes[this.#dtype]);
    const info = this.#asked.get(name) ?? { name, dtype: this.#dtype, shape, byteLength };
    this.#asked.set(name, info);
    return info;
  }

  /** Those that were asked for. */
  keys(): Iterable<string> {
    return this.#asked.keys();
  }

  values(): Iterable<TensorInfo> {
    return this.#asked.values();
  }
}
