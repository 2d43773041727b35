import type { VideoRules } from './media-rules.ts';
import { roundHalfEven } from './smart-resize.ts';

/** Frames per second that transformers assumes where a clip does not say. */
const unknownFps = 24;

/**
 * Which frames of a clip the model sees: `fps` per second of the source, at least `minFrames`, at most `maxFrames`, never more than
 * there are, spread evenly from the first to the last.
 * @param total frames of the source, at least 1
 * @param sourceFps of the source; undefined where it is not known
 * @returns ascending indices; transformers repeats the last where their count is odd
 * source: transformers 5.18, Qwen3VLVideoProcessor.sample_frames
 */
export function sampleFrames(total: number, sourceFps: number | undefined, rules: VideoRules): number[] {
  const wanted = Math.trunc((total / (sourceFps ?? unknownFps)) * rules.fps);
  return spreadEvenly(total, Math.min(Math.max(wanted, rules.minFrames), rules.maxFrames, total));
}

/** `numpy.linspace(0, total − 1, count).round()`, in its order of operations: halves decide on the last bit. */
export function spreadEvenly(total: number, count: number): number[] {
  if (count === 1) return [0];
  const step = (total - 1) / (count - 1);
  return Array.from({ length: count }, (_, index) => (index === count - 1 ? total - 1 : roundHalfEven(index * step)));
}

/**
 * Seconds of each group of `groupSize` frames: the mean of its first and its last. The last index stands in for what is missing.
 * @param indices of frames in the source
 * @param sourceFps of the source; undefined where it is not known
 * source: transformers 5.18, Qwen3VLProcessor._calculate_timestamps
 */
export function groupTimestamps(
  indices: readonly number[],
  sourceFps: number | undefined,
  groupSize: number,
): number[] {
  const secondsOf = (at: number) => indices[Math.min(at, indices.length - 1)]! / (sourceFps ?? unknownFps);
  return Array.from(
    { length: Math.ceil(indices.length / groupSize) },
    (_, group) => (secondsOf(group * groupSize) + secondsOf((group + 1) * groupSize - 1)) / 2,
  );
}
