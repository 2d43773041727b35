/** Element types of tensors on the GPU. `f16` and `bf16` are stored two to a 32-bit word and unpacked in the kernel. */
export type Dtype = 'f32' | 'f16' | 'bf16' | 'u32';

export const elementBytes: Readonly<Record<Dtype, number>> = { f32: 4, f16: 2, bf16: 2, u32: 4 };

/** An axis: a fixed length, or the name of a length that only the batch knows (`T` tokens, `S` sequences, …). */
export type Dim = number | string;

/** Lengths of the named axes in one batch. */
export type Sizes = Readonly<Record<string, number>>;

/**
 * Where a tensor's bytes come from: `weight` from the checkpoint, `input` written by the host for every batch,
 * `intermediate` computed, in an arena that the plan lays out; `store` left there by other plans, and only read.
 */
export type Role = 'weight' | 'input' | 'intermediate' | 'store';

/** A handle: name, type and shape. Bytes belong to the plan (intermediates, inputs) or the uploader (weights). */
export interface Tensor {
  readonly name: string;
  readonly dtype: Dtype;
  /** Row-major. */
  readonly shape: readonly Dim[];
  readonly role: Role;
  /** The tensor whose bytes these are, in another shape. */
  readonly of?: Tensor;
}

/** The tensor that the bytes belong to. */
export function owner(tensor: Tensor): Tensor {
  return tensor.of ?? tensor;
}

export function sizeOf(dim: Dim, sizes: Sizes): number {
  if (typeof dim === 'number') return dim;
  const size = sizes[dim];
  if (size === undefined) throw new RangeError(`axis ${dim} has no size in this batch`);
  return size;
}

/** Number of elements with the given sizes of the named axes. */
export function elements(shape: readonly Dim[], sizes: Sizes = {}): number {
  return shape.reduce<number>((product, dim) => product * sizeOf(dim, sizes), 1);
}

/** Reads like an error message wants it: `f32[T, 1024]`. */
export function describe({ dtype, shape }: Pick<Tensor, 'dtype' | 'shape'>): string {
  return `${dtype}[${shape.join(', ')}]`;
}
