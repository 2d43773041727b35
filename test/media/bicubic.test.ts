import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { resizeBicubic } from '../../src/media/bicubic.ts';
import { noise } from './noise.ts';

interface Case {
  seed: number;
  from: [number, number];
  to: [number, number];
  sha256: string;
  rgb?: string;
}
const fixture = JSON.parse(readFileSync(new URL('fixtures/bicubic.json', import.meta.url), 'utf8')) as {
  pillow: string;
  cases: Case[];
};

const has = (test: (one: Case) => boolean) => expect(fixture.cases.some(test)).toBe(true);

describe(`resizeBicubic against Pillow ${fixture.pillow}`, () => {
  test.each(fixture.cases)('$from → $to is equal to the byte', ({ seed, from, to, sha256, rgb }) => {
    const [width, height] = from;
    const resized = resizeBicubic(noise(width * height * 3, seed), width, height, ...to);
    expect(resized.length).toBe(to[0] * to[1] * 3);
    // The whole picture first: it says which pixels differ.
    if (rgb !== undefined) expect(Buffer.from(resized).equals(Buffer.from(rgb, 'base64'))).toBe(true);
    expect(createHash('sha256').update(resized).digest('hex')).toBe(sha256);
  });

  test('the fixture has up- and downscaling, single pixels, and one axis alone', () => {
    has(({ from, to }) => from[0] < to[0] && from[1] > to[1]);
    has(({ from }) => from[0] === 1 && from[1] === 1);
    has(({ to }) => to[0] === 1 && to[1] === 1);
    has(({ from, to }) => from[0] === to[0] && from[1] !== to[1]);
    has(({ from, to }) => from[0] !== to[0] && from[1] === to[1]);
  });

  test('a flat colour stays what it is', () => {
    for (const value of [0, 1, 127, 254, 255])
      expect(new Set(resizeBicubic(new Uint8Array(37 * 53 * 3).fill(value), 37, 53, 96, 32))).toEqual(new Set([value]));
  });

  test('the source is left alone', () => {
    const source = noise(20 * 20 * 3, 1);
    const copy = source.slice();
    resizeBicubic(source, 20, 20, 32, 32);
    expect(source).toEqual(copy);
  });
});
