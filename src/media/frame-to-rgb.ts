import { invalidClip, type Picture } from './clip.ts';
import type { PlaneLayout, VideoFrame } from './web-codecs.ts';
import { type YuvFrame, type YuvMatrix, yuvToRgb } from './yuv-to-rgb.ts';

/**
 * The pixels of a decoded frame. wgrank converts colours itself, so that providers of WebCodecs agree; only forms that it does not
 * know go through the provider's own conversion. The frame stays open.
 */
export async function frameToRgb(frame: VideoFrame): Promise<Picture> {
  const { width, height } = frame.visibleRect ?? { width: 0, height: 0 };
  if (width * height === 0) throw invalidClip('a decoded frame has no pixels');
  const form = frame.colorSpace.matrix === 'rgb' ? undefined : yuvForms[frame.format ?? ''];
  if (!form) return { rgb: await copyRgba(frame, width, height), width, height };
  const bytes = new Uint8Array(frame.allocationSize());
  const layout = await frame.copyTo(bytes);
  const yuv: YuvFrame = {
    width,
    height,
    planes: form.planes(bytes, layout),
    chromaShift: form.chromaShift,
    depth: form.depth,
    matrix: matrices[frame.colorSpace.matrix ?? ''] ?? 'bt601',
    fullRange: frame.colorSpace.fullRange === true,
  };
  return { rgb: yuvToRgb(yuv), width, height };
}

/** Whatever is not named here is BT.601, as in FFmpeg. */
const matrices: Readonly<Record<string, YuvMatrix>> = { bt709: 'bt709', 'bt2020-ncl': 'bt2020' };

interface YuvForm {
  readonly chromaShift: readonly [number, number];
  readonly depth: number;
  planes(bytes: Uint8Array, layout: readonly PlaneLayout[]): YuvFrame['planes'];
}

/** Names of WebCodecs; alpha planes are left out. */
const yuvForms: Readonly<Record<string, YuvForm>> = {
  ...planar('I420', [1, 1]),
  ...planar('I422', [1, 0]),
  ...planar('I444', [0, 0]),
  NV12: { chromaShift: [1, 1], depth: 8, planes: (bytes, layout) => interleaved(bytes, layout, 0, 1) },
  NV21: { chromaShift: [1, 1], depth: 8, planes: (bytes, layout) => interleaved(bytes, layout, 1, 0) },
};

function planar(name: string, chromaShift: readonly [number, number]): Record<string, YuvForm> {
  const form = (depth: number): YuvForm => ({
    chromaShift,
    depth,
    planes(bytes, layout) {
      const size = depth === 8 ? 1 : 2;
      const samples = size === 1 ? bytes : new Uint16Array(bytes.buffer);
      const plane = ({ offset, stride }: PlaneLayout) => ({
        samples,
        offset: offset / size,
        stride: stride / size,
        step: 1,
      });
      const [luma, cb, cr] = layout;
      return [plane(luma!), plane(cb!), plane(cr!)];
    },
  });
  const alpha = `${name}A`;
  return {
    [name]: form(8),
    [alpha]: form(8),
    [`${name}P10`]: form(10),
    [`${alpha}P10`]: form(10),
    [`${name}P12`]: form(12),
    [`${alpha}P12`]: form(12),
  };
}

function interleaved(samples: Uint8Array, layout: readonly PlaneLayout[], cb: number, cr: number): YuvFrame['planes'] {
  const [luma, chroma] = layout;
  const pair = (first: number) => ({ samples, offset: chroma!.offset + first, stride: chroma!.stride, step: 2 });
  return [{ samples, offset: luma!.offset, stride: luma!.stride, step: 1 }, pair(cb), pair(cr)];
}

async function copyRgba(frame: VideoFrame, width: number, height: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(frame.allocationSize({ format: 'RGBA' }));
  const [layout] = await frame.copyTo(bytes, { format: 'RGBA' });
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++)
        rgb[to++] = bytes[layout!.offset + y * layout!.stride + x * 4 + channel]!;
  return rgb;
}
