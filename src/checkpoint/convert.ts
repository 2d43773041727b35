import type { Dtype } from '../tensor/tensor.ts';
import type { WeightStorage } from './checkpoint.ts';
import {
  convertBf16ToF16,
  convertBf16ToF32,
  convertF16ToBf16,
  convertF16ToF32,
  convertF32ToBf16,
  convertF32ToF16,
  type ConversionReport,
} from './half.ts';
import type { StorageDtype } from './weights.ts';

export const storageBytes: Readonly<Record<WeightStorage, number>> = { F32: 4, F16: 2, BF16: 2 };

/** What a checkpoint's dtype is called on the GPU. */
export const storageName: Readonly<Record<WeightStorage, StorageDtype & Dtype>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};

/**
 * Converts elements from a checkpoint's dtype to another one of the GPU's.
 * @param source elements as stored, 4-byte aligned
 * @param target as many elements, 4-byte aligned
 * @returns how exact it was
 */
export function convertElements(
  from: WeightStorage,
  to: StorageDtype,
  source: Uint8Array,
  target: Uint8Array,
): ConversionReport {
  const words = (view: Uint8Array) => new Uint32Array(view.buffer, view.byteOffset, view.byteLength / 4);
  const halves = (view: Uint8Array) => new Uint16Array(view.buffer, view.byteOffset, view.byteLength / 2);
  if (from === 'F32') return (to === 'f16' ? convertF32ToF16 : convertF32ToBf16)(words(source), halves(target));
  if (to === 'f32') return (from === 'F16' ? convertF16ToF32 : convertBf16ToF32)(halves(source), words(target));
  return (from === 'F16' ? convertF16ToBf16 : convertBf16ToF16)(halves(source), halves(target));
}
