import { invalidClip, type Picture } from './clip.ts';
import { named } from './decode-frames.ts';
import type { PlaneLayout, VideoFrame } from './web-codecs.ts';
import { type YuvFrame, type YuvMatrix, yuvToRgb } from './yuv-to-rgb.ts';

/**
 * The pixels of decoded frames, one after the other in the same memory. wgrank converts colours itself, so that providers of
 * WebCodecs agree; only forms that it does not know go through the provider's own conversion.
 */
export class FrameReader {
  #samples = new Uint8Array(0);
  #rgb = new Uint8Array(0);

  /**
   * @returns pixels that hold until the next call. The frame stays open.
   * @throws WgrankError `media-invalid` for a frame whose pixels the provider does not give
   */
  async read(frame: VideoFrame): Promise<Picture> {
    const { width, height } = frame.visibleRect ?? { width: 0, height: 0 };
    if (width * height === 0) throw invalidClip('a decoded frame has no pixels');
    if (this.#rgb.length !== width * height * 3) this.#rgb = new Uint8Array(width * height * 3);
    const rgb = this.#rgb;
    const form = frame.colorSpace.matrix === 'rgb' ? undefined : yuvForms[frame.format ?? ''];
    const options = form ? undefined : ({ format: 'RGBA' } as const);
    const layout = await named(() => {
      const bytes = frame.allocationSize(options);
      if (this.#samples.length !== bytes) this.#samples = new Uint8Array(bytes);
      return frame.copyTo(this.#samples, options);
    });
    if (layout.length < (form?.planeCount ?? 1)) throw invalidClip('a decoded frame lacks some of its planes');
    if (form) {
      const yuv: YuvFrame = {
        width,
        height,
        planes: form.planes(this.#samples, layout),
        chromaShift: form.chromaShift,
        depth: form.depth,
        matrix: matrices[frame.colorSpace.matrix ?? ''] ?? 'bt601',
        fullRange: frame.colorSpace.fullRange === true,
      };
      yuvToRgb(yuv, new Uint8ClampedArray(rgb.buffer));
    } else dropAlpha(this.#samples, layout[0]!, width, height, rgb);
    return { rgb, width, height };
  }
}

/** Whatever is not named here is BT.601, as in FFmpeg. */
const matrices: Readonly<Record<string, YuvMatrix>> = { bt709: 'bt709', 'bt2020-ncl': 'bt2020' };

interface YuvForm {
  readonly chromaShift: readonly [number, number];
  readonly depth: number;
  readonly planeCount: number;
  planes(bytes: Uint8Array, layout: readonly PlaneLayout[]): YuvFrame['planes'];
}

/** Names of WebCodecs; alpha planes are left out. */
const yuvForms: Readonly<Record<string, YuvForm>> = {
  ...planar('I420', [1, 1]),
  ...planar('I422', [1, 0]),
  ...planar('I444', [0, 0]),
  NV12: { chromaShift: [1, 1], depth: 8, planeCount: 2, planes: (bytes, layout) => interleaved(bytes, layout, 0, 1) },
  NV21: { chromaShift: [1, 1], depth: 8, planeCount: 2, planes: (bytes, layout) => interleaved(bytes, layout, 1, 0) },
};

function planar(name: string, chromaShift: readonly [number, number]): Record<string, YuvForm> {
  const form = (depth: number): YuvForm => ({
    chromaShift,
    depth,
    planeCount: 3,
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

function dropAlpha(rgba: Uint8Array, layout: PlaneLayout, width: number, height: number, rgb: Uint8Array): void {
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++)
        rgb[to++] = rgba[layout.offset + y * layout.stride + x * 4 + channel]!;
}
