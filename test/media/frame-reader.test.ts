import { describe, expect, it } from 'vitest';

import { FrameReader } from '../../src/media/frame-reader.ts';
import type { VideoFrame } from '../../src/media/web-codecs.ts';
import golden from './fixtures/video-golden.json' with { type: 'json' };

const [width, height] = [16, 8];
const matrices: Record<string, string | null> = { bt601: null, bt709: 'bt709', bt2020: 'bt2020-ncl' };

/** A frame as a provider of WebCodecs gives it. */
function frameOf(
  format: string | null,
  bytes: Uint8Array,
  layout: { offset: number; stride: number }[],
  colorSpace: VideoFrame['colorSpace'] = { matrix: null, fullRange: false },
): VideoFrame {
  return {
    format,
    visibleRect: { width, height },
    colorSpace,
    allocationSize: () => bytes.length,
    copyTo: async (into, options) => {
      expect(options?.format).toBe(format === null || colorSpace.matrix === 'rgb' ? 'RGBA' : undefined);
      into.set(bytes);
      return layout;
    },
    close: () => undefined,
  };
}

/** Planes one behind the other, rows with a gap. */
function planar(format: string, planes: Uint8Array[], chroma: [number, number], colorSpace?: VideoFrame['colorSpace']) {
  const gap = 3;
  const layout: { offset: number; stride: number }[] = [];
  const parts: number[] = [];
  for (const [at, plane] of planes.entries()) {
    const across = at === 0 ? width : width >> chroma[0];
    layout.push({ offset: parts.length, stride: across + gap });
    for (let row = 0; row < plane.length; row += across)
      parts.push(...plane.subarray(row, row + across), ...Array<number>(gap).fill(99));
  }
  return frameOf(format, Uint8Array.from(parts), layout, colorSpace);
}

function fail(): never {
  throw new TypeError('libavcodec says no');
}

const shifts = { yuv420p: [1, 1], yuv422p: [1, 0], yuv444p: [0, 0] } as Record<string, [number, number]>;
const names = { yuv420p: 'I420', yuv422p: 'I422', yuv444p: 'I444' } as Record<string, string>;
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const read = async (frame: VideoFrame) => Uint8Array.from((await new FrameReader().read(frame)).rgb);
const mostOf = (a: Uint8Array, b: Uint8Array) => a.reduce((most, x, at) => Math.max(most, Math.abs(x - b[at]!)), 0);

describe('colours of decoded frames', () => {
  it.each(golden.conversions)('$form, $matrix, full range $full: as FFmpeg converts them', async (made) => {
    const planes = made.planes.map(hex);
    const colorSpace = { matrix: matrices[made.matrix]!, fullRange: made.full };
    const rgb = await read(planar(names[made.form]!, planes, shifts[made.form]!, colorSpace));
    // FFmpeg cuts where chroma is halved, and so does wgrank; elsewhere it rounds at other places.
    expect(mostOf(rgb, hex(made.rgb))).toBeLessThanOrEqual(made.form === 'yuv444p' ? 1 : 0);
  });

  it('reads interleaved chroma in both orders', async () => {
    const made = golden.conversions.find(({ form }) => form === 'yuv420p')!;
    const [luma, cb, cr] = made.planes.map(hex) as [Uint8Array, Uint8Array, Uint8Array];
    for (const [format, first, second] of [
      ['NV12', cb, cr],
      ['NV21', cr, cb],
    ] as const) {
      const pairs = [...first].flatMap((value, at) => [value, second[at]!]);
      const layout = [
        { offset: 0, stride: width },
        { offset: luma.length, stride: width },
      ];
      expect(await read(frameOf(format, Uint8Array.from([...luma, ...pairs]), layout))).toEqual(hex(made.rgb));
    }
  });

  it('reads samples of 10 and 12 bits', async () => {
    const made = golden.conversions.find(({ form }) => form === 'yuv444p')!;
    const planes = made.planes.map(hex);
    for (const [format, shift] of [
      ['I444P10', 2],
      ['I444AP10', 2],
      ['I444P12', 4],
    ] as const) {
      const samples = Uint16Array.from(
        planes.flatMap((plane) => [...plane]),
        (value) => value << shift,
      );
      const layout = [0, 1, 2].map((plane) => ({ offset: plane * width * height * 2, stride: width * 2 }));
      expect(mostOf(await read(frameOf(format, new Uint8Array(samples.buffer), layout)), hex(made.rgb))).toBeLessThan(
        2,
      );
    }
  });

  it.each<[string, Partial<VideoFrame>]>([
    ['size is not told', { allocationSize: () => fail() }],
    ['size is none', { allocationSize: () => NaN - 1 }],
    ['pixels are not given', { copyTo: () => Promise.reject(new Error('libavcodec says no')) }],
    ['pixels are not given at all', { copyTo: () => fail() }],
    ['planes are missing', { copyTo: () => Promise.resolve([{ offset: 0, stride: width }]) }],
  ])('names a frame whose %s', async (_, broken) => {
    const frame = frameOf('I420', new Uint8Array(width * height * 2), [], { matrix: null, fullRange: false });
    const reading = new FrameReader().read({ ...frame, ...broken });
    await expect(reading).rejects.toMatchObject({ name: 'WgrankError', code: 'media-invalid' });
    await expect(reading).rejects.not.toThrow(/libavcodec/);
  });

  it('leaves other forms, and RGB in the guise of YUV, to the provider', async () => {
    const rgba = Uint8Array.from({ length: width * height * 4 }, (_, at) => (at * 7) % 256);
    const expected = rgba.filter((_, at) => at % 4 !== 3);
    const layout = [{ offset: 0, stride: width * 4 }];
    expect(await read(frameOf(null, rgba, layout))).toEqual(expected);
    expect(await read(frameOf('I444', rgba, layout, { matrix: 'rgb', fullRange: true }))).toEqual(expected);
  });
});
