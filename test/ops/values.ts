import { convertBf16ToF32, convertF16ToF32, convertF32ToBf16, convertF32ToF16 } from '../../src/checkpoint/half.ts';
import { Random } from '../fuzz/random.ts';

/** Seeded numbers, uniform between `low` and `high`. */
export function uniform(seed: number, count: number, low = -1, high = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => low + ((high - low) * random.below(2 ** 24)) / 2 ** 24);
}

export const storageDtypes = ['f32', 'f16', 'bf16'] as const;
export type StorageDtype = (typeof storageDtypes)[number];

/** What a kernel is given, and what it means. */
export interface Stored {
  readonly words: Float32Array | Uint32Array;
  readonly values: Float32Array;
}

/** Rounds to a storage type. @param values an even number of them, since halves lie two to a word */
export function store(dtype: StorageDtype, values: Float32Array): Stored {
  if (dtype === 'f32') return { words: values, values };
  const bits = new Uint16Array(values.length);
  const source = new Uint32Array(values.buffer, values.byteOffset, values.length);
  (dtype === 'f16' ? convertF32ToF16 : convertF32ToBf16)(source, bits);
  const rounded = new Uint32Array(values.length);
  (dtype === 'f16' ? convertF16ToF32 : convertBf16ToF32)(bits, rounded);
  return { words: new Uint32Array(bits.buffer), values: new Float32Array(rounded.buffer) };
}

export function largest(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i]!));
  return max;
}
