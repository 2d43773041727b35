import type { JsonCursor } from './json-cursor.ts';

const zero = 0x30;
const two32 = 2 ** 32;
const powers = Float64Array.from({ length: 309 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * Reads a number with the rounding of Rust's `serde_json` without its `float_roundtrip` feature: the digits as one 64-bit
 * integer, rounded, then multiplied or divided by a power of ten, rounded again. That is up to one unit in the last place off
 * the nearest double, and the scores of a vocabulary must be off in the same way: they decide between equally long cuts.
 * source: serde-rs/json `de.rs`, `parse_integer` to `f64_from_parts`
 * @throws WgrankError `tokenizer-invalid` for anything but a finite JSON number
 */
export function readSerdeNumber(cursor: JsonCursor): number {
  cursor.peek();
  const { bytes } = cursor;
  let at = cursor.at;
  const negative = bytes[at] === 0x2d;
  if (negative) at += 1;
  const digits = { high: 0, low: 0 };
  const integerAt = at;
  at = takeDigits(bytes, at, digits);
  const leadingZero = bytes[integerAt] === zero && at > integerAt + 1;
  if (at === integerAt || leadingZero) throw cursor.fault('expected a number');
  const integerEnd = endOfDigits(bytes, at);
  // Digits that no longer fit into 64 bits only scale.
  let exponent = integerEnd - at;
  at = integerEnd;
  if (bytes[at] === 0x2e) {
    const fractionAt = at + 1;
    at = takeDigits(bytes, fractionAt, digits);
    exponent -= at - fractionAt;
    at = endOfDigits(bytes, at);
    if (at === fractionAt) throw cursor.fault('expected a digit after the point');
  }
  if (bytes[at] === 0x65 || bytes[at] === 0x45) {
    const sign = bytes[at + 1];
    const exponentAt = at + (sign === 0x2b || sign === 0x2d ? 2 : 1);
    at = endOfDigits(bytes, exponentAt);
    if (at === exponentAt) throw cursor.fault('expected a digit in the exponent');
    const written = Number(new TextDecoder().decode(bytes.subarray(exponentAt, at)));
    exponent += sign === 0x2d ? -written : written;
  }
  cursor.at = at;
  const magnitude = scale(digits.high * two32 + digits.low, exponent);
  if (!Number.isFinite(magnitude)) throw cursor.fault('a number out of range');
  return negative ? -magnitude : magnitude;
}

/** Appends decimal digits to a 64-bit integer while they fit. @returns the index behind the last one taken */
function takeDigits(bytes: Uint8Array, from: number, digits: { high: number; low: number }): number {
  let at = from;
  for (; ; at += 1) {
    const digit = bytes[at]! - zero;
    if (!(digit >= 0 && digit <= 9)) return at;
    const low = digits.low * 10 + digit;
    const high = digits.high * 10 + Math.floor(low / two32);
    if (high >= two32) return at;
    digits.high = high;
    digits.low = low % two32;
  }
}

function endOfDigits(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at]! >= zero && bytes[at]! <= 0x39) at += 1;
  return at;
}

function scale(significand: number, exponent: number): number {
  let value = significand;
  let rest = exponent;
  while (rest < -308 && value !== 0) {
    value /= 1e308;
    rest += 308;
  }
  if (value === 0) return 0;
  if (rest > 308) return Infinity;
  return rest >= 0 ? value * powers[rest]! : value / powers[-rest]!;
}
