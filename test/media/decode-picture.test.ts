import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { decodePicture } from '../../src/media/decode-picture-node.ts';

const folder = new URL('fixtures/decoding/', import.meta.url);
interface Answer {
  size: [number, number];
  sha256: string;
  turnedSize: [number, number];
  turnedSha256: string;
}
const fixture = JSON.parse(readFileSync(new URL('decoding.json', folder), 'utf8')) as {
  pillow: string;
  pictures: Record<string, Answer>;
};
const pictures = Object.entries(fixture.pictures);

async function decode(name: string, applyExif: boolean) {
  const { rgb, width, height } = await decodePicture(readFileSync(new URL(name, folder)), { applyExif });
  expect(rgb.length).toBe(width * height * 3);
  return { size: [width, height], sha256: createHash('sha256').update(rgb).digest('hex') };
}

// Both use libjpeg-turbo's accurate transform and its smooth upsampling, and libwebp: not one level apart on any file here.
describe(`decoded pixels equal those of Pillow ${fixture.pillow}, transparency over white`, () => {
  test.each(pictures)('%s', async (name, { size, sha256 }) => {
    expect(await decode(name, false)).toEqual({ size, sha256 });
  });

  test.each(pictures)('%s with its EXIF orientation', async (name, { turnedSize, turnedSha256 }) => {
    expect(await decode(name, true)).toEqual({ size: turnedSize, sha256: turnedSha256 });
  });

  test('orientation matters in the fixtures, and profiles would', () => {
    const turned = pictures.filter(([, answer]) => answer.sha256 !== answer.turnedSha256).map(([name]) => name);
    expect(turned.length).toBe(9);
    expect(pictures.map(([name]) => name)).toEqual(expect.arrayContaining(['profile.jpg', 'gamma-profile.png']));
  });
});
