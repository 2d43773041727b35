import { checkSideRatio, type ResizeRules, roundHalfEven } from './smart-resize.ts';

export interface ClipResizeRules extends ResizeRules {
  /** Frames that one patch spans. */
  readonly temporalFactor: number;
}

/**
 * The size at which the model sees every frame of a clip: as `smartResizeImage`, with bounds for all frames together. A frame
 * that is smaller than one token is scaled up before.
 * @param frames that are seen, before an odd count is made even; at least `temporalFactor`
 * @throws WgrankError `media-invalid` for frames that are more than 200 times longer than wide
 * source: transformers 5.18, video_processing_qwen3_vl.py, smart_resize
 */
export function smartResizeVideo(
  frames: number,
  height: number,
  width: number,
  { factor, temporalFactor, minPixels, maxPixels }: ClipResizeRules,
): { height: number; width: number } {
  if (height < factor || width < factor) {
    const scale = Math.max(factor / height, factor / width);
    height = Math.trunc(height * scale);
    width = Math.trunc(width * scale);
  }
  checkSideRatio(height, width);
  const rounded = { height: roundHalfEven(height / factor) * factor, width: roundHalfEven(width / factor) * factor };
  const pixels = roundHalfEven(frames / temporalFactor) * temporalFactor * rounded.height * rounded.width;
  if (pixels > maxPixels) {
    const shrink = Math.sqrt((frames * height * width) / maxPixels);
    const fit = (side: number) => Math.max(factor, Math.floor(side / shrink / factor) * factor);
    return { height: fit(height), width: fit(width) };
  }
  if (pixels < minPixels) {
    const grow = Math.sqrt(minPixels / (frames * height * width));
    const fit = (side: number) => Math.ceil((side * grow) / factor) * factor;
    return { height: fit(height), width: fit(width) };
  }
  return rounded;
}
