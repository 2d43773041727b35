import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { codedSizes, isKnownDescription } from '../../src/media/coded-sizes.ts';
import { decodeFrames } from '../../src/media/decode-frames.ts';
import { scanClip } from '../../src/media/scan-clip.ts';
import type { WebCodecs } from '../../src/media/web-codecs.ts';

/** Clips that tell a decoder another size than their container says. */

const read = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

/** A box's content, in the file's own memory. */
function contentOf(file: Buffer, name: string): Buffer {
  const at = file.indexOf(name) - 4;
  return file.subarray(at + 8, at + file.readUInt32BE(at));
}
const withLength = (bytes: number, unit: Buffer) => {
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(unit.length, 0, bytes);
  return Buffer.concat([length, unit]);
};
const mark = Buffer.from([0, 0, 0, 1]);

/** Of 8192x4352 and of 64x48 pixels. */
const record = contentOf(read('lying-size.mp4'), 'avcC');
const large = record.subarray(8, 8 + record.readUInt16BE(6));
const honest = contentOf(read('clip-h264.mp4'), 'avcC');
const slice = Buffer.from([0x65, 0x88, 0x84, 0, 0x21, 9, 9, 9]);

const widths = (description: Buffer | undefined, ...packets: Buffer[]) =>
  [...codedSizes('avc1.64003c', description, packets)].map(({ width }) => width);

describe('descriptions that a decoder takes for something else', () => {
  test('H.264 behind start codes', async () => {
    const file = read('lying-size.mp4');
    const description = contentOf(file, 'avcC');
    const picture = Buffer.from(description.subarray(8 + large.length + 3));
    const marked = Buffer.concat([mark, large, mark, picture]);
    description.fill(0).set([2, 0x64, 0, 0x3c]);
    marked.copy(description, 4);
    const data = contentOf(file, 'mdat');
    for (let at = 0; at + 4 < data.length;) {
      const length = data.readUInt32BE(at);
      mark.copy(data, at);
      at += 4 + length;
    }
    await expect(scanClip(new Uint8Array(file))).rejects.toMatchObject({
      code: 'media-invalid',
      message: '[video] the description of the codec is damaged (it is no record of parameter sets)',
    });
  });

  test.each([0, 2, 255])('H.264 that begins with %i', async (first) => {
    const file = read('clip-h264.mp4');
    contentOf(file, 'avcC')[0] = first;
    await expect(scanClip(new Uint8Array(file))).rejects.toMatchObject({ code: 'media-invalid' });
  });

  test('HEVC, by FFmpeg’s rule', async () => {
    const file = read('clip-hevc.mp4');
    const good = Buffer.from(contentOf(file, 'hvcC'));
    const known = (...head: number[]) =>
      isKnownDescription('hvc1.1.6.L93.B0', Buffer.concat([Buffer.from(head), good.subarray(head.length)]));
    expect([known(), known(0, 1), known(0, 0, 2)]).toEqual([true, true, true]);
    expect([known(2), known(0, 0, 1), known(0, 0, 0)]).toEqual([false, false, false]);
    expect(isKnownDescription('hev1.1.6.L93.B0', good.subarray(0, 22))).toBe(false);
    contentOf(file, 'hvcC').set([0, 0, 0]);
    await expect(scanClip(new Uint8Array(file))).rejects.toMatchObject({ code: 'media-invalid' });
  });
});

describe('sizes are found wherever a decoder may look for them', () => {
  const two = Buffer.from(honest);
  two[4] = 0xfd;
  const inPictureSets = Buffer.concat([honest.subarray(0, 5), Buffer.from([0xe0, 1]), withLength(2, large)]);
  const large4 = withLength(4, large);
  test.each<[string, Buffer | undefined, Buffer]>([
    ['behind a length of four bytes', honest, large4],
    ['behind a length of two', two, withLength(2, large)],
    ['behind a start code, where lengths are said to be', honest, Buffer.concat([mark, large, mark, slice])],
    ['behind a start code, behind whole units', honest, Buffer.concat([withLength(4, slice), mark, large])],
    ['behind a start code in a unit', honest, withLength(4, Buffer.concat([slice, mark, large]))],
    ['behind start codes', undefined, Buffer.concat([mark, large, mark, slice])],
    ['behind lengths, where start codes are said to be', undefined, Buffer.concat([large4, withLength(4, slice)])],
    ['among the picture sets', inPictureSets, withLength(4, slice)],
    ['in a description in between frames', honest, record],
  ])('%s', (_, description, packet) => {
    expect(widths(description, packet)).toContain(8192);
    expect(widths(honest, withLength(4, slice))).not.toContain(8192);
  });

  test('a set that is read as it stands, where it makes no sense without its escapes', () => {
    // 0 0 3 behind the level: escapes shift all that follows.
    const shifted = Buffer.from('67640033000003', 'hex');
    const unit = Buffer.concat([shifted, Buffer.alloc(40, 0x55)]);
    expect(widths(honest, withLength(4, unit)).length).toBe(widths(honest, withLength(4, slice)).length + 2);
  });

  test('a length that looks like a start code is none', () => {
    // 0 0 1 103: a unit of 359 bytes.
    const unit = Buffer.alloc(0x167, 0x11);
    large.copy(unit, 0, 1);
    unit[0] = 0x64;
    expect(widths(honest, withLength(4, unit))).toEqual(widths(honest, withLength(4, slice)));
  });
});

test('a provider that fails at the question whether it reads a codec is no fault of the server', async () => {
  const codecs = {
    VideoDecoder: class {
      static isConfigSupported(): never {
        throw new TypeError('libavcodec says no');
      }
    },
  } as unknown as WebCodecs;
  const clip = await scanClip(new Uint8Array(read('clip-h264.mp4')));
  await expect(decodeFrames(codecs, clip, new Set([0]), () => Promise.resolve())).rejects.toMatchObject({
    code: 'media-invalid',
    message: '[video] the installed decoder does not read this codec (H.264, HEVC, VP8, VP9, AV1)',
  });
});
