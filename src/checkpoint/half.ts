import { WgrankError } from '../errors.ts';

/**
 * Conversions between f32, f16 and bf16 on raw bits, rounding to nearest, ties to even (IEEE 754). NaN stays NaN (quiet, payload cut),
 * infinities stay infinite. Sources and targets are bit patterns in the host's byte order, which is the file's on every
 * little-endian machine.
 *
 * A target may begin where its source begins (narrowing in place): element i is read before it is written, and writes never run ahead.
 */

/** What a conversion lost. Values that were NaN or infinite before are exact. */
export interface ConversionReport {
  /** Finite values that became infinite. */
  readonly overflow: number;
  /** Values below the target's normal range that changed, down to zero included. */
  readonly underflow: number;
  /** All values that changed: overflow, underflow and ordinary rounding. */
  readonly inexact: number;
}

export const exactConversion: ConversionReport = { overflow: 0, underflow: 0, inexact: 0 };

export function addReports(a: ConversionReport, b: ConversionReport): ConversionReport {
  return { overflow: a.overflow + b.overflow, underflow: a.underflow + b.underflow, inexact: a.inexact + b.inexact };
}

function checkLengths(source: ArrayLike<number>, target: ArrayLike<number>): number {
  if (source.length !== target.length) {
    throw new WgrankError(
      'shape-mismatch',
      'half',
      `source has ${source.length} values, target ${target.length} (they must agree)`,
    );
  }
  return source.length;
}

/** Shifts out `drop` bits (1 … 24) of a non-negative integer, rounding to nearest, ties to even. */
function roundShift(value: number, drop: number): number {
  const half = 1 << (drop - 1);
  return (value + half - 1 + ((value >>> drop) & 1)) >>> drop;
}

/** f32 → f16 of a magnitude outside f16's normal range: |x| < 2^-14, or |x| ≥ 65520, infinite or NaN. */
function f16OfExtreme(magnitude: number): number {
  if (magnitude > 0x7f800000) return 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return 0x7c00;
  // Below half of the smallest subnormal, 2^-25 itself included (a tie, and 0 is even).
  if (magnitude <= 0x33000000) return 0;
  // 2^(e-127) · 1.m as a multiple of 2^-24.
  const significand = (magnitude & 0x7fffff) | 0x800000;
  return roundShift(significand, 126 - (magnitude >>> 23));
}

/** Bits of the f32 that equals an f16 magnitude below 2^-14, i.e. half · 2^-24. */
function f32OfTiny(half: number): number {
  if (half === 0) return 0;
  const lead = 31 - Math.clz32(half);
  return ((lead + 103) << 23) | ((half << (23 - lead)) & 0x7fffff);
}

/** f16 → f32 of a magnitude that is subnormal, zero, infinite or NaN. */
function f32OfExtreme(half: number): number {
  if (half < 0x400) return f32OfTiny(half);
  return half === 0x7c00 ? 0x7f800000 : 0x7fc00000 | ((half & 0x3ff) << 13);
}

/** @param source f32 bits; @param target f16 bits, same length */
export function convertF32ToF16(source: Uint32Array, target: Uint16Array): ConversionReport {
  const n = checkLengths(source, target);
  let overflow = 0;
  let underflow = 0;
  // Exact values are counted, not rounded ones: in weights they are the rare branch.
  let exact = 0;
  for (let i = 0; i < n; i++) {
    const bits = source[i]! | 0;
    const magnitude = bits & 0x7fffffff;
    let half: number;
    // Normal in f16, 2^-14 ≤ |x| < 65520: move the exponent's offset from 127 to 15 and round 13 bits away.
    if ((magnitude - 0x38800000) >>> 0 < 0x0efff000) {
      half = (magnitude + (0xfff - 0x38000000) + ((magnitude >> 13) & 1)) >> 13;
      if ((magnitude & 0x1fff) === 0) exact++;
    } else {
      half = f16OfExtreme(magnitude);
      if (magnitude >= 0x38800000 && magnitude < 0x7f800000) overflow++;
      else if (magnitude < 0x38800000 && f32OfTiny(half) !== magnitude) underflow++;
      else exact++;
    }
    target[i] = ((bits >> 16) & 0x8000) | half;
  }
  return { overflow, underflow, inexact: n - exact };
}

/** @param source f32 bits; @param target bf16 bits, same length */
export function convertF32ToBf16(source: Uint32Array, target: Uint16Array): ConversionReport {
  const n = checkLengths(source, target);
  let overflow = 0;
  let underflow = 0;
  let exact = 0;
  for (let i = 0; i < n; i++) {
    const bits = source[i]! | 0;
    const magnitude = bits & 0x7fffffff;
    let short = (magnitude + 0x7fff + ((magnitude >> 16) & 1)) >>> 16;
    // Normal, and below the value that rounds beyond bf16's largest, 0x7f7f.
    if ((magnitude - 0x00800000) >>> 0 < 0x7eff8000) {
      if ((magnitude & 0xffff) === 0) exact++;
    } else if (magnitude > 0x7f800000) {
      short = (magnitude >> 16) | 0x40;
      exact++;
    } else if ((magnitude & 0xffff) === 0) {
      exact++;
    } else if (magnitude < 0x00800000) {
      underflow++;
    } else {
      overflow++;
    }
    target[i] = ((bits >> 16) & 0x8000) | short;
  }
  return { overflow, underflow, inexact: n - exact };
}

/** Exact for every value. @param source f16 bits; @param target f32 bits, same length */
export function convertF16ToF32(source: Uint16Array, target: Uint32Array): ConversionReport {
  const n = checkLengths(source, target);
  for (let i = 0; i < n; i++) {
    const bits = source[i]!;
    const half = bits & 0x7fff;
    const normal = (half - 0x400) >>> 0 < 0x7800;
    target[i] = ((bits & 0x8000) << 16) | (normal ? (half << 13) + 0x38000000 : f32OfExtreme(half));
  }
  return exactConversion;
}

/** Exact for every value. @param source bf16 bits; @param target f32 bits, same length */
export function convertBf16ToF32(source: Uint16Array, target: Uint32Array): ConversionReport {
  const n = checkLengths(source, target);
  for (let i = 0; i < n; i++) target[i] = source[i]! << 16;
  return exactConversion;
}

/**
 * Exact for normal values within f16's range: f16 has the longer significand. So `inexact` = `overflow` + `underflow`.
 * @param source bf16 bits; @param target f16 bits, same length
 */
export function convertBf16ToF16(source: Uint16Array, target: Uint16Array): ConversionReport {
  const n = checkLengths(source, target);
  let overflow = 0;
  let underflow = 0;
  for (let i = 0; i < n; i++) {
    const bits = source[i]!;
    const short = bits & 0x7fff;
    let half: number;
    // 2^-14 ≤ |x| < 2^16.
    if ((short - 0x3880) >>> 0 < 0x0f00) {
      half = (short - 0x3800) << 3;
    } else {
      const magnitude = short << 16;
      half = f16OfExtreme(magnitude);
      if (short < 0x3880) underflow += f32OfTiny(half) === magnitude ? 0 : 1;
      else if (short < 0x7f80) overflow++;
    }
    target[i] = (bits & 0x8000) | half;
  }
  return { overflow, underflow, inexact: overflow + underflow };
}

/**
 * Rounds three bits away; bf16 has the larger range, so nothing overflows or underflows.
 * @param source f16 bits; @param target bf16 bits, same length
 */
export function convertF16ToBf16(source: Uint16Array, target: Uint16Array): ConversionReport {
  const n = checkLengths(source, target);
  let inexact = 0;
  for (let i = 0; i < n; i++) {
    const bits = source[i]!;
    const half = bits & 0x7fff;
    let short: number;
    if ((half - 0x400) >>> 0 < 0x7800) {
      short = ((half + 3 + ((half >> 3) & 1)) >> 3) + 0x3800;
      inexact = (inexact + (((half & 7) + 7) >> 3)) | 0;
    } else {
      const magnitude = f32OfExtreme(half);
      short = magnitude > 0x7f800000 ? magnitude >> 16 : (magnitude + 0x7fff + ((magnitude >> 16) & 1)) >> 16;
      if (half < 0x400 && (magnitude & 0xffff) !== 0) inexact++;
    }
    target[i] = (bits & 0x8000) | short;
  }
  return { overflow: 0, underflow: 0, inexact };
}
