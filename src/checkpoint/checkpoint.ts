/** Bits per element of every dtype that the safetensors format names (source: safetensors 0.8, `tensor.rs` `Dtype::bitsize`). */
export const safetensorsDtypeBits = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
  C64: 64,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
} as const;

export type SafetensorsDtype = keyof typeof safetensorsDtypeBits;

/** The dtypes that weights are read in; all others are listed by `tensors` and refused by `read`. */
export type WeightStorage = Extract<SafetensorsDtype, 'F32' | 'F16' | 'BF16'>;

/** Whether a tensor of this dtype can be read as weights. */
export function isWeightStorage(dtype: SafetensorsDtype): dtype is WeightStorage {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  /** Sizes per axis, row-major; empty for a scalar. */
  readonly shape: readonly number[];
  /** product(shape) · bits / 8. */
  readonly byteLength: number;
}

/** The tensors of a model folder, by name, wherever their files lie. */
export interface Checkpoint {
  /** In the order of their files, and in a file in the order of its header. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Reads bytes [begin, begin + into.byteLength) of a tensor's little-endian data. Positional; concurrent calls allowed.
   * @param begin byte offset in the tensor, 0 ≤ begin ≤ byteLength − into.byteLength
   * @throws WgrankError `tensor-missing`; `tensor-shape` for a dtype that is no weight dtype or a range outside the tensor;
   *   `checkpoint-invalid` when the file became shorter or fails to read; `engine-stopped` after `close`
   */
  read(name: string, begin: number, into: Uint8Array): Promise<void>;
  /** Closes the files once pending reads have ended. May be called twice. */
  close(): Promise<void>;
}
