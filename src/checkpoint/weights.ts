import { WgrankError } from '../errors.ts';
import type { Dtype, Tensor } from '../tensor/tensor.ts';
import { isWeightStorage, type TensorInfo, type WeightStorage } from './checkpoint.ts';

/** What linear weights and tables are stored as on the GPU; vectors are always f32. */
export type StorageDtype = Extract<Dtype, 'f32' | 'f16' | 'bf16'>;

/** A run of elements of one checkpoint tensor. */
export interface WeightSource {
  readonly info: TensorInfo & { readonly dtype: WeightStorage };
  readonly firstElement: number;
  readonly elements: number;
}

/** Reads a run of elements as f32. */
export type ReadElements = (source: WeightSource) => Promise<Float32Array>;

/** One GPU tensor and where its elements come from: sources, one after the other, or an f32 computation on the host. */
export interface WeightUpload {
  readonly tensor: Tensor;
  readonly sources: readonly WeightSource[];
  readonly compute?: (read: ReadElements) => Float32Array | Promise<Float32Array>;
}

/** A linear layer `[N, K]`, perhaps with a bias `[N]`. */
export interface Linear {
  readonly weight: Tensor;
  readonly bias?: Tensor;
}

/** A linear layer with its bias. */
export interface BiasedLinear extends Linear {
  readonly bias: Tensor;
}

/** One name, or several spellings of it of which the checkpoint has one. */
export type TensorName = string | readonly string[];

/** The tensors that a cursor finds: those of a checkpoint, or those that one would hold (`ExpectedTensors`). */
export interface TensorIndex {
  has(name: string): boolean;
  /** @param shape what the model asks for; an index of real tensors answers with what is there */
  get(name: string, shape: readonly number[]): TensorInfo | undefined;
  keys(): Iterable<string>;
  values(): Iterable<TensorInfo>;
}

interface Ledger {
  readonly tensors: TensorIndex;
  readonly storage: StorageDtype;
  readonly bindingBytes: number;
  readonly read: Set<string>;
  readonly uploads: WeightUpload[];
}

/**
 * A cursor over a checkpoint. The methods hand out tensor handles and note what to upload; nothing is read until the
 * uploader runs, so that a model is recorded, measured and refused before a byte of it is moved.
 *
 * Every method throws WgrankError `tensor-missing` or `tensor-shape`, naming the tensor and both shapes.
 */
export class Weights {
  readonly #ledger: Ledger;
  readonly #prefix: string;

  private constructor(ledger: Ledger, prefix: string) {
    this.#ledger = ledger;
    this.#prefix = prefix;
  }

  /**
   * @param storage      dtype of linear weights and tables on the GPU
   * @param bindingBytes largest binding of the adapter: longer tables are cut by rows
   */
  static of({ tensors }: { tensors: TensorIndex }, storage: StorageDtype, bindingBytes: number): Weights {
    return new Weights({ tensors, storage, bindingBytes, read: new Set(), uploads: [] }, '');
  }

  /** The cursor below a prefix: `at('encoder.layer', 3)`. */
  at(...path: readonly (string | number)[]): Weights {
    const below = path.filter((step) => step !== '').map((step) => `${step}.`);
    return new Weights(this.#ledger, this.#prefix + below.join(''));
  }

  /** Whether a tensor of this name exists below the cursor. */
  has(name: string): boolean {
    return this.#ledger.tensors.has(this.#prefix + name);
  }

  /** `[length]`, as f32. */
  vector(name: TensorName, length: number): Tensor {
    return this.#add('f32', [length], [this.#source(name, [length])]);
  }

  /** One row of `[rows, columns]` as f32 `[columns]`; of a vector, one element as `[1]`. */
  row(name: TensorName, shape: readonly [number] | readonly [number, number], row: number): Tensor {
    const columns = shape[1] ?? 1;
    const whole = this.#source(name, shape);
    return this.#add('f32', [columns], [{ ...whole, firstElement: row * columns, elements: columns }]);
  }

  /** One row of a matrix less another: of an output layer, what turns the first's logit less the second's into one product. */
  rowDifference(name: TensorName, [rows, columns]: readonly [number, number], plus: number, minus: number): Tensor {
    const whole = this.#source(name, [rows, columns]);
    const row = (index: number) => ({ ...whole, firstElement: index * columns, elements: columns });
    return this.#compute(`${whole.info.name}[${plus}] - [${minus}]`, [columns], async (read) => {
      const other = await read(row(minus));
      return (await read(row(plus))).map((value, i) => value - other[i]!);
    });
  }

  /** Numbers that no checkpoint holds. */
  constant(name: string, shape: readonly number[], values: () => Float32Array): Tensor {
    return this.#compute(name, shape, values);
  }

  /** Weight `[n, k]` and bias `[n]` of the layer `name`. */
  linear(name: string, n: number, k: number): BiasedLinear {
    return this.stackedLinear([name], n, k);
  }

  /** Rows `first` … of a layer of `n` rows, as a layer of its own. */
  linearRows(name: string, [n, k]: readonly [number, number], first: number, rows: number): BiasedLinear {
    const cut = (source: WeightSource, columns: number) => ({
      ...source,
      firstElement: first * columns,
      elements: rows * columns,
    });
    const weight = cut(this.#source(`${name}.weight`, [n, k]), k);
    const bias = cut(this.#source(`${name}.bias`, [n]), 1);
    const named = ({ info }: WeightSource) => `${info.name}[${first}:${first + rows}]`;
    return {
      weight: this.#add(this.#ledger.storage, [rows, k], [weight], named(weight)),
      bias: this.#add('f32', [rows], [bias], named(bias)),
    };
  }

  /** A convolution whose steps are as long as its kernel: a layer over the kernel's elements, one row each place. */
  patchLinear(name: string, n: number, kernel: readonly number[]): BiasedLinear {
    const k = kernel.reduce((product, size) => product * size, 1);
    const weight = this.#add(this.#ledger.storage, [n, k], [this.#source(`${name}.weight`, [n, ...kernel])]);
    return { weight, bias: this.vector(`${name}.bias`, n) };
  }

  /** Several layers of the same input as one: their rows one below the other. @param n rows of each */
  stackedLinear(names: readonly string[], n: number, k: number): BiasedLinear {
    const weight = this.stackedWeights(names, n, k);
    const biases = names.map((name) => this.#source(`${name}.bias`, [n]));
    return { ...weight, bias: this.#add('f32', [n * names.length], biases) };
  }

  /** The same for layers without biases. */
  stackedWeights(names: readonly string[], n: number, k: number): Linear {
    const weights = names.map((name) => this.#source(`${name}.weight`, [n, k]));
    return { weight: this.#add(this.#ledger.storage, [n * names.length, k], weights) };
  }

  /** `[rows, columns]`, cut by rows into as many parts as the adapter's binding limit asks for. */
  table(name: TensorName, rows: number, columns: number): Tensor[] {
    const { storage, bindingBytes } = this.#ledger;
    const whole = this.#source(name, [rows, columns]);
    const rowsPerPart = Math.floor(bindingBytes / (columns * (storage === 'f32' ? 4 : 2)));
    const parts: Tensor[] = [];
    for (let first = 0; first < rows; first += rowsPerPart) {
      const count = Math.min(rowsPerPart, rows - first);
      const source = { ...whole, firstElement: first * columns, elements: count * columns };
      parts.push(this.#add(storage, [count, columns], [source]));
    }
    return parts;
  }

  /** `[rows, columns]` as one tensor, for tables that kernels read whole. */
  wholeTable(name: TensorName, rows: number, columns: number): Tensor {
    return this.#add(this.#ledger.storage, [rows, columns], [this.#source(name, [rows, columns])]);
  }

  /**
   * Ends the reading.
   * @param ignorable names that published checkpoints carry and the forward pass does not use
   * @returns what to upload
   * @throws WgrankError `tensor-unexpected` when another tensor was left unread
   */
  finish(ignorable: readonly RegExp[]): readonly WeightUpload[] {
    const { tensors, read, uploads } = this.#ledger;
    const left = [...tensors.keys()].filter(
      (name) => !read.has(name) && !ignorable.some((pattern) => pattern.test(name)),
    );
    if (left.length > 0) {
      const names = left.slice(0, 10).join(', ') + (left.length > 10 ? `, … (${left.length} tensors)` : '');
      throw new WgrankError(
        'tensor-unexpected',
        'weights',
        `the model does not use ${names} (a checkpoint of another architecture?)`,
      );
    }
    return uploads;
  }

  #source(name: TensorName, shape: readonly number[]): WeightSource {
    const { tensors, read } = this.#ledger;
    const spellings = (typeof name === 'string' ? [name] : name).map((spelling) => this.#prefix + spelling);
    const found = spellings.find((spelling) => tensors.has(spelling));
    const info = found === undefined ? undefined : tensors.get(found, shape);
    if (!info) {
      throw new WgrankError(
        'tensor-missing',
        'weights',
        `the checkpoint lacks ${spellings.join(' or ')} [${shape.join(', ')}]`,
      );
    }
    const { dtype } = info;
    const wrong = info.shape.length !== shape.length || shape.some((size, axis) => size !== info.shape[axis]);
    if (wrong || !isWeightStorage(dtype)) {
      throw new WgrankError(
        'tensor-shape',
        'weights',
        `${info.name} is ${dtype}[${info.shape.join(', ')}] (config.json implies [${shape.join(', ')}] of F32, F16 or BF16)`,
      );
    }
    read.add(info.name);
    return { info: { ...info, dtype }, firstElement: 0, elements: shape.reduce((product, size) => product * size, 1) };
  }

  #compute(name: string, shape: readonly number[], compute: NonNullable<WeightUpload['compute']>): Tensor {
    const tensor: Tensor = { name, dtype: 'f32', shape, role: 'weight' };
    this.#ledger.uploads.push({ tensor, sources: [], compute });
    return tensor;
  }

  #add(
    dtype: StorageDtype,
    shape: readonly number[],
    sources: readonly WeightSource[],
    name = sources.map(({ info }) => info.name).join(' + '),
  ): Tensor {
    const tensor: Tensor = { name, dtype, shape, role: 'weight' };
    this.#ledger.uploads.push({ tensor, sources });
    return tensor;
  }
}

/** What `auto` means: the dtype in which the checkpoint holds most of its bytes. */
export function storedDtype({ tensors }: { tensors: TensorIndex }): StorageDtype {
  const bytes = { F32: 0, F16: 0, BF16: 0 };
  for (const { dtype, byteLength } of tensors.values()) {
    if (isWeightStorage(dtype)) bytes[dtype] += byteLength;
  }
  if (bytes.F32 >= bytes.F16 && bytes.F32 >= bytes.BF16) return 'f32';
  return bytes.F16 >= bytes.BF16 ? 'f16' : 'bf16';
}
