import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findNotFinite } from '../../src/checkpoint/finite.ts';

const bytesOf = (array: Uint16Array | Uint32Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

describe('findNotFinite', () => {
  test.each([
    ['F16', 0x7c00],
    ['BF16', 0x7f80],
  ] as const)('every bit pattern of %s, in both halves of a word and as an odd last one', (dtype, exponent) => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const wrong = (bits & exponent) === exponent;
      for (let at = 0; at < 3; at++) {
        const halves = new Uint16Array(3).fill(1);
        halves[at] = bits;
        if (findNotFinite(dtype, bytesOf(halves)) !== (wrong ? at : -1)) expect.fail(`${bits.toString(16)} at ${at}`);
      }
    }
  });

  test('F32 as Number.isFinite tells it', () => {
    const word = fc.oneof(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.constantFrom(0x7f800000, 0xff800000, 0x7f7fffff, 0x7fc00001),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), (words) => {
        const floats = new Float32Array(Uint32Array.from(words).buffer);
        expect(findNotFinite('F32', bytesOf(Uint32Array.from(words)))).toBe(
          floats.findIndex((value) => !Number.isFinite(value)),
        );
      }),
    );
  });

  test('nothing in nothing', () => {
    expect(findNotFinite('F16', new Uint8Array(0))).toBe(-1);
  });
});
