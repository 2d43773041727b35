import type { Dtype } from '../tensor/tensor.ts';
import type { WeightStorage } from './checkpoint.ts';
import {
  convertBf16ToF16,
  convertBf16ToF32,
  convertF16ToBf16,
  convertF16ToF32,
  convertF32ToBf16,
  convertF32ToF16,
  exactConversion,
  type ConversionReport,
} from './half.ts';
import type { StorageDtype } from './weights.ts';

export const storageBytes: Readonly<Record<WeightStorage, number>> = { F32: 4, F16: 2, BF16: 2 };

const names: Readonly<Record<WeightStorage, Dtype>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/**
 * Converts elements from a checkpoint's dtype to the GPU's.
 * @param source elements as stored, 4-byte aligned
 * @param target room for as many elements; `source` itself is returned when nothing changes
 */
export function convertElements(
  from: WeightStorage,
  to: StorageDtype,
  source: Uint8Array,
  target: Uint8Array,
): { bytes: Uint8Array; report: ConversionReport } {
  if (names[from] === to) return { bytes: source, report: exactConversion };
  const count = source.byteLength / storageBytes[from];
  const bytes = target.subarray(0, count * (to === 'f32' ? 4 : 2));
  const words = (view: Uint8Array) => new Uint32Array(view.buffer, view.byteOffset, view.byteLength / 4);
  const halves = (view: Uint8Array) => new Uint16Array(view.buffer, view.byteOffset, view.byteLength / 2);
  const report = (() => {
    if (from === 'F32') return (to === 'f16' ? convertF32ToF16 : convertF32ToBf16)(words(source), halves(bytes));
    if (to === 'f32') return (from === 'F16' ? convertF16ToF32 : convertBf16ToF32)(halves(source), words(bytes));
    return (from === 'F16' ? convertF16ToBf16 : convertBf16ToF16)(halves(source), halves(bytes));
  })();
  return { bytes, report };
}
