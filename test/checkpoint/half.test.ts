import { describe, expect, it } from 'vitest';
import {
  type ConversionReport,
  addReports,
  convertBf16ToF16,
  convertBf16ToF32,
  convertF16ToBf16,
  convertF16ToF32,
  convertF32ToBf16,
  convertF32ToF16,
} from '../../src/checkpoint/half.ts';
import { Random } from '../fuzz/random.ts';

/** Sign, exponent and fraction widths of a binary float. */
interface Format {
  readonly exponentBits: number;
  readonly fractionBits: number;
}
const f16: Format = { exponentBits: 5, fractionBits: 10 };
const bf16: Format = { exponentBits: 8, fractionBits: 7 };

const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);

/** The value of a bit pattern, from the definition of the format, in float64 (which holds it exactly). */
function decode(bits: number, { exponentBits, fractionBits }: Format): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = bits & (2 ** fractionBits - 1);
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
}

/** Values of the patterns 0 … 0x7fff, ascending up to infinity. */
const magnitudes = new Map(
  [f16, bf16].map((format) => [format, Float64Array.from({ length: 0x8000 }, (_, i) => decode(i, format))]),
);

/** The nearest pattern, ties to even, by searching the format's ordered magnitudes. NaN gives undefined. */
function encode(value: number, format: Format): number | undefined {
  const table = magnitudes.get(format)!;
  if (Number.isNaN(value)) return undefined;
  const sign = Object.is(value, -0) || value < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  const infinity = (2 ** format.exponentBits - 1) << format.fractionBits;
  let low = 0;
  let high = infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (table[middle]! <= magnitude) low = middle;
    else high = middle;
  }
  if (magnitude === Infinity) return sign | infinity;
  const below = table[low]!;
  // One step beyond the largest finite value stands in for infinity when distances are compared.
  const above = high === infinity ? 2 * below - table[low - 1]! : table[high]!;
  const toBelow = magnitude - below;
  const toAbove = above - magnitude;
  const nearest = toBelow < toAbove || (toBelow === toAbove && low % 2 === 0) ? low : high;
  return sign | nearest;
}

function isNaNBits(bits: number, { exponentBits, fractionBits }: Format): boolean {
  return (bits & 0x7fff) > (2 ** exponentBits - 1) << fractionBits;
}

/** What a conversion of `value` into `bits` loses. */
function lossOf(value: number, bits: number, format: Format): ConversionReport {
  const result = decode(bits, format);
  if (Number.isNaN(value) || Object.is(result, value)) return { overflow: 0, underflow: 0, inexact: 0 };
  if (!Number.isFinite(result)) return { overflow: 1, underflow: 0, inexact: 1 };
  const smallestNormal = 2 ** (2 - 2 ** (format.exponentBits - 1));
  return { overflow: 0, underflow: Math.abs(value) < smallestNormal ? 1 : 0, inexact: 1 };
}

/** Checks one conversion against the definition, value by value, and its report as a whole. */
function check(values: ArrayLike<number>, target: Uint16Array, report: ConversionReport, format: Format): void {
  let expectedReport: ConversionReport = { overflow: 0, underflow: 0, inexact: 0 };
  for (let i = 0; i < values.length; i++) {
    const expected = encode(values[i]!, format);
    const right = expected === undefined ? isNaNBits(target[i]!, format) : target[i] === expected;
    if (!right) expect.fail(`${values[i]} became 0x${target[i]!.toString(16)}, not 0x${expected?.toString(16)}`);
    const loss = lossOf(values[i]!, target[i]!, format);
    if (loss.inexact > 0) expectedReport = addReports(expectedReport, loss);
  }
  expect(report).toEqual(expectedReport);
}

/** Values around every boundary: each half and bfloat, the midpoints between neighbours, and one f32 step beside all of them. */
function edgeValues(): Float32Array<ArrayBuffer> {
  const values: number[] = [];
  for (const format of [f16, bf16]) {
    for (let bits = 0; bits < 0x8000; bits += format === bf16 ? 13 : 1) {
      const value = decode(bits, format);
      const next = decode(bits + 1, format);
      values.push(value, (value + next) / 2);
    }
  }
  values.push(
    65504,
    65519,
    65520,
    65521,
    65535,
    65536,
    3.3895313892515355e38,
    3.4028234663852886e38,
    2 ** -149,
    2 ** -126,
    2 ** -133,
  );
  const near = new Uint32Array(values.length * 6);
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  bits.forEach((b, i) => {
    for (let k = -1; k <= 1; k++) {
      near[6 * i + 2 * k + 2] = Math.max(0, b + k);
      near[6 * i + 2 * k + 3] = (Math.max(0, b + k) | 0x80000000) >>> 0;
    }
  });
  return new Float32Array(near.buffer);
}

function bitsOf(values: Float32Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(values.buffer);
}

describe('widening', () => {
  it.each([
    ['f16', f16, convertF16ToF32],
    ['bf16', bf16, convertBf16ToF32],
  ] as const)('%s → f32 is exact for all 65,536 patterns', (_, format, convert) => {
    const values = new Float32Array(65_536);
    expect(convert(all, bitsOf(values))).toEqual({ overflow: 0, underflow: 0, inexact: 0 });
    for (let bits = 0; bits < 65_536; bits++) {
      const expected = decode(bits, format);
      if (!Object.is(values[bits], expected))
        expect.fail(`0x${bits.toString(16)} became ${values[bits]}, not ${expected}`);
    }
  });
});

describe('narrowing from f32', () => {
  const conversions = [
    ['f16', f16, convertF32ToF16],
    ['bf16', bf16, convertF32ToBf16],
  ] as const;
  const specials = Float32Array.of(
    0,
    -0,
    Infinity,
    -Infinity,
    Number.NaN,
    1,
    -1,
    0.1,
    1 / 3,
    1e30,
    -1e30,
    1e-30,
    -1e-30,
  );

  it.each(conversions)('f32 → %s rounds edge values to nearest, ties to even', (_, format, convert) => {
    for (const values of [specials, edgeValues()]) {
      const target = new Uint16Array(values.length);
      check(values, target, convert(bitsOf(values), target), format);
    }
  });

  it.each(conversions)('f32 → %s agrees with the definition on random patterns and weights', (_, format, convert) => {
    const random = new Random(7);
    const patterns = Uint32Array.from({ length: 40_000 }, () => random.below(2 ** 32));
    const weights = Float32Array.from(
      { length: 40_000 },
      () => (random.below(2 ** 24) / 2 ** 24 - 0.5) * 10 ** (random.below(12) - 8),
    );
    for (const values of [new Float32Array(patterns.buffer), weights]) {
      const target = new Uint16Array(values.length);
      check(values, target, convert(bitsOf(values), target), format);
    }
  });

  it.each(conversions)('f32 → %s keeps every NaN a NaN, with its sign', (_, format, convert) => {
    const nan = Uint32Array.of(0x7f800001, 0xff800001, 0x7fc00000, 0xffffffff, 0x7f801fff, 0x7f80ffff);
    const target = new Uint16Array(nan.length);
    expect(convert(nan, target)).toEqual({ overflow: 0, underflow: 0, inexact: 0 });
    target.forEach((bits, i) => {
      expect(isNaNBits(bits, format)).toBe(true);
      expect(bits >>> 15).toBe(nan[i]! >>> 31);
    });
  });

  it.each(conversions)('f32 → %s works in place', (_, _format, convert) => {
    const random = new Random(11);
    const source = Uint32Array.from({ length: 1000 }, () => random.below(2 ** 32));
    const apart = new Uint16Array(1000);
    convert(source, apart);
    convert(source, new Uint16Array(source.buffer, 0, 1000));
    expect(new Uint16Array(source.buffer, 0, 1000)).toEqual(apart);
  });

  it.each([
    ['f16', f16, convertF16ToF32, convertF32ToF16],
    ['bf16', bf16, convertBf16ToF32, convertF32ToBf16],
  ] as const)('%s → f32 → %s returns every number', (_, format, widen, narrow) => {
    const wide = new Uint32Array(65_536);
    const back = new Uint16Array(65_536);
    widen(all, wide);
    expect(narrow(wide, back)).toEqual({ overflow: 0, underflow: 0, inexact: 0 });
    for (let bits = 0; bits < 65_536; bits++)
      if (!isNaNBits(bits, format) && back[bits] !== bits) expect.fail(`0x${bits.toString(16)}`);
  });
});

describe('between the 16-bit formats', () => {
  it.each([
    ['bf16 → f16', bf16, f16, convertBf16ToF16],
    ['f16 → bf16', f16, bf16, convertF16ToBf16],
  ] as const)('%s agrees with the definition for all 65,536 patterns', (_, from, to, convert) => {
    const target = new Uint16Array(65_536);
    const report = convert(all, target);
    check(
      Array.from(all, (bits) => decode(bits, from)),
      target,
      report,
      to,
    );
    for (let bits = 0; bits < 65_536; bits++) if (isNaNBits(bits, from)) expect(target[bits]! >>> 15).toBe(bits >>> 15);
  });

  it('bf16 → f16 loses nothing of normal values in range', () => {
    const inRange = all.filter((bits) => {
      const magnitude = Math.abs(decode(bits, bf16));
      return magnitude >= 2 ** -14 && magnitude < 65_520;
    });
    expect(convertBf16ToF16(inRange, new Uint16Array(inRange.length)).inexact).toBe(0);
  });
});

it('refuses lengths that differ', () => {
  expect(() => convertF32ToF16(new Uint32Array(3), new Uint16Array(4))).toThrow(
    '[half] source has 3 values, target 4 (they must agree)',
  );
});
