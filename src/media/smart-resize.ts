import { WgrankError } from '../errors.ts';
import type { PixelBounds } from './media-rules.ts';

/** Longest side over shortest. */
const maxSideRatio = 200;

export interface ResizeRules extends PixelBounds {
  /** Sides become multiples of it: patch size times merge size. */
  readonly factor: number;
}

/**
 * The size at which the model sees a picture: sides rounded to multiples of `factor` (halves to even), scaled to fit between the
 * bounds. In doubles and in transformers' order of divisions, so that sizes are equal.
 * @throws WgrankError `media-invalid` for a picture that is more than 200 times longer than wide
 * source: transformers 5.18, image_processing_qwen2_vl.py
 */
export function smartResizeImage(
  height: number,
  width: number,
  { factor, minPixels, maxPixels }: ResizeRules,
): { height: number; width: number } {
  checkSideRatio(height, width);
  const rounded = { height: roundHalfEven(height / factor) * factor, width: roundHalfEven(width / factor) * factor };
  const pixels = rounded.height * rounded.width;
  if (pixels > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels);
    const fit = (side: number) => Math.max(factor, Math.floor(side / shrink / factor) * factor);
    return { height: fit(height), width: fit(width) };
  }
  if (pixels < minPixels) {
    const grow = Math.sqrt(minPixels / (height * width));
    const fit = (side: number) => Math.ceil((side * grow) / factor) * factor;
    return { height: fit(height), width: fit(width) };
  }
  return rounded;
}

/** @throws WgrankError `media-invalid` in the words of transformers */
export function checkSideRatio(height: number, width: number): void {
  const ratio = Math.max(height, width) / Math.min(height, width);
  if (ratio <= maxSideRatio) return;
  // Python writes 205.0.
  const got = Number.isInteger(ratio) ? ratio.toFixed(1) : String(ratio);
  throw new WgrankError('media-invalid', 'picture', `absolute aspect ratio must be smaller than 200, got ${got}`);
}

/** Python's `round`: 2.5 → 2, 3.5 → 4. */
export function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}
