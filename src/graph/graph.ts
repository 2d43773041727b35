import type { ShaderSpec } from '../gpu/shader.ts';
import { WgrankError } from '../errors.ts';
import { owner, type Dim, type Dtype, type Sizes, type Tensor } from '../tensor/tensor.ts';

/** A number that a launch needs: known when recorded, or a function of the batch's sizes. */
export type Expression = number | ((sizes: Sizes) => number);

/** One kernel launch as recorded: what runs, on which tensors, with which numbers. */
export interface Launch {
  /** Name for profiles and errors; the op's. */
  readonly op: string;
  readonly shader: ShaderSpec;
  readonly overrides?: Readonly<Record<string, number>>;
  /** Fields of the shader's `Params`, in its order; `u` 32-bit unsigned, `f` 32-bit float. */
  readonly params: readonly (readonly [type: 'u' | 'f', value: Expression])[];
  /** Tensors of bindings 1, 2, …; `undefined` where the shader has none. Binding 0 is `Params`. */
  readonly bindings: readonly (Tensor | undefined)[];
  /** Those of the bindings that the launch writes. */
  readonly writes: readonly Tensor[];
  /** Workgroups along x, y, z. A zero anywhere skips the launch. */
  readonly groups: (sizes: Sizes) => readonly [number, number, number];
}

/** What a model records: the launches of one batch, in order, and the tensors between them. */
export class Graph {
  readonly launches: Launch[] = [];
  readonly inputs: Tensor[] = [];
  readonly outputs: Tensor[] = [];
  readonly stores: Tensor[] = [];

  /** A tensor that the host writes before every batch. */
  input(name: string, dtype: Dtype, shape: readonly Dim[]): Tensor {
    const tensor: Tensor = { name, dtype, shape, role: 'input' };
    this.inputs.push(tensor);
    return tensor;
  }

  /** A tensor that a launch will write. */
  intermediate(name: string, dtype: Dtype, shape: readonly Dim[]): Tensor {
    return { name, dtype, shape, role: 'intermediate' };
  }

  /** A tensor that other plans fill before a batch that reads it, and that keeps its bytes between batches. */
  store(name: string, dtype: Dtype, shape: readonly number[]): Tensor {
    const tensor: Tensor = { name, dtype, shape, role: 'store' };
    this.stores.push(tensor);
    return tensor;
  }

  /** The same bytes in another shape of as many elements: rows that lie one behind the other, read as fewer and longer ones. */
  view(tensor: Tensor, shape: readonly Dim[]): Tensor {
    return { ...tensor, shape, of: owner(tensor) };
  }

  /** Keeps a tensor's bytes until the end of the batch, for reading back. */
  output(tensor: Tensor): void {
    this.outputs.push(tensor);
  }

  launch(launch: Launch): void {
    // Two writable bindings of one range are invalid in WebGPU, and all but weights and stores may be writable.
    const writable = launch.bindings.flatMap((tensor) =>
      tensor && tensor.role !== 'weight' && tensor.role !== 'store' ? [owner(tensor)] : [],
    );
    if (new Set(writable).size !== writable.length) {
      throw new WgrankError(
        'shape-mismatch',
        launch.op,
        'a tensor is bound twice (expected distinct inputs and outputs)',
      );
    }
    this.launches.push(launch);
  }
}

/** Splits a one-dimensional number of workgroups over x and y, because each axis is limited to 65,535. */
export function foldGroups(groups: number): readonly [number, number, number] {
  const x = Math.min(groups, 32768);
  return [x, x === 0 ? 0 : Math.ceil(groups / x), 1];
}
