/** Samples of a frame: one luma plane and two of chroma, which may be halved in width and height or interleaved. */
export interface YuvFrame {
  readonly width: number;
  readonly height: number;
  /** Luma, Cb, Cr; each sample is one element. */
  readonly planes: readonly [YuvPlane, YuvPlane, YuvPlane];
  /** log2 of luma samples per chroma sample, along a row and down a column. */
  readonly chromaShift: readonly [number, number];
  /** Bits per sample, 8 to 12. */
  readonly depth: number;
  readonly matrix: YuvMatrix;
  /** Whether samples use all codes; otherwise luma has 219 steps and chroma 224 of 8 bits. */
  readonly fullRange: boolean;
}

export interface YuvPlane {
  readonly samples: Uint8Array | Uint16Array;
  readonly offset: number;
  /** Elements between rows, and between samples of a row. */
  readonly stride: number;
  readonly step: number;
}

export type YuvMatrix = 'bt601' | 'bt709' | 'bt2020';

/** Shares of red and blue in luma. source: ITU-R BT.601, BT.709, BT.2020 */
const shares: Readonly<Record<YuvMatrix, readonly [red: number, blue: number]>> = {
  bt601: [0.299, 0.114],
  bt709: [0.2126, 0.0722],
  bt2020: [0.2627, 0.0593],
};

/** Fractional bits of the sums. */
const fraction = 16;

interface Tables {
  readonly luma: Int32Array;
  readonly redOfCr: Int32Array;
  readonly greenOfCr: Int32Array;
  readonly greenOfCb: Int32Array;
  readonly blueOfCb: Int32Array;
}

const tablesByForm = new Map<string, Tables>();

/**
 * R = Y + 2(1 − r)·Cr, B = Y + 2(1 − b)·Cb, and G such that rR + gG + bB = Y, clamped to 0..255. A chroma sample colours all the
 * pixels it belongs to, without interpolation.
 *
 * Equal to FFmpeg's converter on x86, which the reference decodes with, for 8 bits with halved chroma: that one cuts every term to
 * a whole level, 1 to 1.5 levels darker than rounding. With full chroma it rounds the sum (±1 from here); for more bits it
 * interpolates chroma, which is not done here.
 * @param rgb of width · height · 3 bytes; gets 8-bit RGB, `[height, width, 3]`
 */
export function yuvToRgb(frame: YuvFrame, rgb: Uint8ClampedArray): void {
  const { width, height, planes, chromaShift } = frame;
  const [luma, cb, cr] = planes;
  const [across, down] = chromaShift;
  const tables = tablesOf(frame);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const lumaRow = luma.offset + y * luma.stride;
    const cbRow = cb.offset + (y >> down) * cb.stride;
    const crRow = cr.offset + (y >> down) * cr.stride;
    for (let x = 0; x < width; x++) {
      const light = tables.luma[luma.samples[lumaRow + x * luma.step]!]!;
      const blue = cb.samples[cbRow + (x >> across) * cb.step]!;
      const red = cr.samples[crRow + (x >> across) * cr.step]!;
      rgb[to++] = (light + tables.redOfCr[red]!) >> fraction;
      rgb[to++] = (light + tables.greenOfCb[blue]! + tables.greenOfCr[red]!) >> fraction;
      rgb[to++] = (light + tables.blueOfCb[blue]!) >> fraction;
    }
  }
}

function tablesOf({ depth, matrix, fullRange, chromaShift }: YuvFrame): Tables {
  const cut = depth === 8 && chromaShift[0] === 1;
  const form = `${matrix} ${depth} ${fullRange} ${cut}`;
  let tables = tablesByForm.get(form);
  if (tables === undefined) tablesByForm.set(form, (tables = makeTables(depth, matrix, fullRange, cut)));
  return tables;
}

/** @param cut whether every term becomes a whole number of levels, by factors of 13 fractional bits */
function makeTables(depth: number, matrix: YuvMatrix, fullRange: boolean, cut: boolean): Tables {
  const codes = 2 ** depth;
  const unit = codes / 256;
  const [lumaZero, lumaSteps, chromaSteps] = fullRange
    ? [0, codes - 1, codes - 1]
    : [16 * unit, 219 * unit, 224 * unit];
  const [red, blue] = shares[matrix];
  const green = 1 - red - blue;
  const term = (value: number, factor: number) =>
    cut ? Math.floor((value * Math.round(factor * 2 ** 13)) / 2 ** 13) * 2 ** fraction : value * factor * 2 ** fraction;
  const table = (zero: number, factor: number, add = 0) =>
    // Codes beyond the depth do not occur; room for them keeps a damaged sample from reading past the end.
    Int32Array.from({ length: depth === 8 ? codes : 2 ** 16 }, (_, code) =>
      Math.round(term(Math.min(code, codes - 1) - zero, factor) + add),
    );
  const chroma = (factor: number) => table(codes / 2, (255 / chromaSteps) * factor);
  return {
    luma: table(lumaZero, 255 / lumaSteps, cut ? 0 : 2 ** (fraction - 1)),
    redOfCr: chroma(2 * (1 - red)),
    greenOfCr: chroma((-2 * red * (1 - red)) / green),
    greenOfCb: chroma((-2 * blue * (1 - blue)) / green),
    blueOfCb: chroma(2 * (1 - blue)),
  };
}
