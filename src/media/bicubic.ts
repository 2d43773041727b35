/** Bits behind the point of a weight: 32, less 8 of a sample and 2 to spare for sums outside 0..255. */
const weightBits = 22;
const half = 1 << (weightBits - 1);
/** Reach of the cubic kernel, in samples of the coarser grid. */
const reach = 2;

/**
 * Bicubic resize of 8-bit RGB, equal to Pillow's `resize(…, BICUBIC)` to the byte. Each output sample is a weighted mean of the
 * input around its centre; on the way down the kernel widens by the ratio, so that nothing aliases. Columns are mixed first and
 * rounded to 8 bits, then rows; an axis that keeps its size is left alone.
 *
 * @param rgb `[height, width, 3]`
 * @returns `[toHeight, toWidth, 3]`; `rgb` itself when no size changes
 * source: Pillow's documented filter (a = −0.5, antialiased) and its fixed point of 22 bits
 */
export function resizeBicubic(
  rgb: Uint8Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Uint8Array {
  const wide = toWidth === width ? rgb : mixColumns(rgb, width, height, weigh(width, toWidth));
  return toHeight === height ? wide : mixRows(wide, toWidth, weigh(height, toHeight));
}

/** For each output sample the inputs that it is made of. */
interface Weights {
  /** Output samples. */
  readonly size: number;
  /** First input of each. */
  readonly first: Int32Array;
  /** Inputs of each. */
  readonly count: Int32Array;
  /** Weights of each, `stride` apart, in units of 2^−22. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** w(x) for a = −½: 1.5|x|³ − 2.5|x|² + 1 up to 1, −½|x|³ + 2.5|x|² − 4|x| + 2 up to 2. The order of operations is Pillow's. */
function cubic(offset: number): number {
  const x = Math.abs(offset);
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function weigh(from: number, to: number): Weights {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const support = reach * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * stride);
  const exact = new Float64Array(stride);
  for (let at = 0; at < to; at += 1) {
    const centre = (at + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const taps = Math.min(from, Math.trunc(centre + support + 0.5)) - begin;
    let sum = 0;
    for (let tap = 0; tap < taps; tap += 1) {
      const weight = cubic((tap + begin - centre + 0.5) * (1 / widening));
      exact[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < taps; tap += 1) {
      const weight = sum === 0 ? exact[tap]! : exact[tap]! / sum;
      // Halves away from zero.
      weights[at * stride + tap] = Math.trunc(weight * 2 ** weightBits + (weight < 0 ? -0.5 : 0.5));
    }
    first[at] = begin;
    count[at] = taps;
  }
  return { size: to, first, count, weights, stride };
}

/** `[height, width, 3]` → `[height, size, 3]`. */
function mixColumns(rgb: Uint8Array, width: number, height: number, columns: Weights): Uint8Array {
  const { size, first, count, weights, stride } = columns;
  // A clamped array takes care of sums outside 0..255.
  const mixed = new Uint8ClampedArray(height * size * 3);
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    const row = y * width * 3;
    for (let x = 0; x < size; x += 1) {
      let red = half;
      let green = half;
      let blue = half;
      let from = row + first[x]! * 3;
      let at = x * stride;
      for (const end = at + count[x]!; at < end; at += 1) {
        const weight = weights[at]!;
        red = (red + Math.imul(rgb[from]!, weight)) | 0;
        green = (green + Math.imul(rgb[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(rgb[from + 2]!, weight)) | 0;
        from += 3;
      }
      mixed[to] = red >> weightBits;
      mixed[to + 1] = green >> weightBits;
      mixed[to + 2] = blue >> weightBits;
      to += 3;
    }
  }
  return new Uint8Array(mixed.buffer);
}

/** `[height, width, 3]` → `[size, width, 3]`, three samples of a row at a time. */
function mixRows(rgb: Uint8Array, width: number, rows: Weights): Uint8Array {
  const { size, first, count, weights, stride } = rows;
  const line = width * 3;
  const mixed = new Uint8ClampedArray(size * line);
  for (let y = 0; y < size; y += 1) {
    const top = first[y]! * line;
    const begin = y * stride;
    const end = begin + count[y]!;
    const to = y * line;
    for (let x = 0; x < line; x += 3) {
      let red = half;
      let green = half;
      let blue = half;
      let from = top + x;
      for (let at = begin; at < end; at += 1) {
        const weight = weights[at]!;
        red = (red + Math.imul(rgb[from]!, weight)) | 0;
        green = (green + Math.imul(rgb[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(rgb[from + 2]!, weight)) | 0;
        from += line;
      }
      mixed[to + x] = red >> weightBits;
      mixed[to + x + 1] = green >> weightBits;
      mixed[to + x + 2] = blue >> weightBits;
    }
  }
  return new Uint8Array(mixed.buffer);
}
