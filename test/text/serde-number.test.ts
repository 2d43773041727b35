import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { JsonCursor } from '../../src/text/json-cursor.ts';
import { readSerdeNumber } from '../../src/text/serde-number.ts';

const { numbers } = JSON.parse(readFileSync(new URL('fixtures/serde-numbers.json', import.meta.url), 'utf8')) as {
  numbers: [string, string][];
};

function read(literal: string): number {
  return readSerdeNumber(new JsonCursor(new TextEncoder().encode(literal), 'test'));
}

test('numbers are rounded as the Rust library rounds them', () => {
  const wrong = numbers.filter(([literal, expected]) => !Object.is(read(literal), Number(expected)));
  expect(wrong).toEqual([]);
  // The fixture tells the two ways of rounding apart.
  expect(numbers.filter(([literal, expected]) => Number(literal) !== Number(expected)).length).toBeGreaterThan(20);
});

test.each(['', '-', '+1', '01', '.5', '1.', '1e', '1e+', 'NaN', 'Infinity', 'null', '1e309', '-1e999999999999'])(
  '%j is not a number',
  (literal) => {
    expect(() => read(literal)).toThrow(expect.objectContaining({ code: 'tokenizer-invalid' }));
  },
);
