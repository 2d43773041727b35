import type { WeightStorage } from './checkpoint.ts';

/** Bits of an element that are all set in infinities and NaN, and in nothing else. */
const exponents = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const satisfies Record<WeightStorage, number>;

/**
 * Finds what is no number: a network makes NaN of it, and a comparison can make a number of that again.
 * @param bytes elements as stored, 4-byte aligned
 * @returns index of the first element that is NaN or infinite, or -1
 */
export function findNotFinite(dtype: WeightStorage, bytes: Uint8Array): number {
  const exponent = exponents[dtype];
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  if (dtype === 'F32')
    return carries(words, exponent, 0x00800000) ? words.findIndex((w) => (w & exponent) === exponent) : -1;
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
  const lowest = exponent & -exponent;
  const last = halves.at(-1) ?? 0; // may lie behind the last whole word
  const found = carries(words, exponent | (exponent << 16), lowest | (lowest << 16)) || (last & exponent) === exponent;
  return found ? halves.findIndex((half) => (half & exponent) === exponent) : -1;
}

/** Whether adding an exponent's lowest bit carries into the sign bit of any element, without a branch for each. */
function carries(words: Int32Array, exponents: number, lowest: number): boolean {
  let carried = 0;
  for (let i = 0; i < words.length; i++) carried |= (words[i]! & exponents) + lowest;
  return (carried & 0x80008000) !== 0;
}
