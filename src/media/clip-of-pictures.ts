import { type Clip, GrowingClip, invalidClip, type Picture } from './clip.ts';
import type { MediaRules } from './media-rules.ts';
import { groupTimestamps, spreadEvenly } from './sample-frames.ts';

/** What the official script of Qwen3-VL-Reranker assumes of a list of pictures. */
const listFps = 2;

/**
 * A clip given as pictures. The caller has sampled already: all are kept, up to the rules' `maxFrames`; of more, evenly spread
 * ones. Time counts in pictures of the list. One picture stands for a still clip, as in the official script. Pictures of
 * different sizes are refused: transformers and the official script fail on them.
 * @param pictures in order; a function is called when its picture's turn has come, and only for pictures that are kept
 * @param fps how far apart they are; default 2
 * @throws WgrankError `media-invalid`
 * source: transformers 5.18 with `do_sample_frames=False`; qwen-vl-utils, fetch_video
 */
export async function clipOfPictures(
  pictures: readonly (Picture | (() => Promise<Picture>))[],
  fps: number | undefined,
  rules: MediaRules,
): Promise<Clip> {
  if (pictures.length === 0) throw invalidClip('the list of frames is empty (one picture at least)');
  if (fps !== undefined && !(fps >= 0.001 && fps <= 1000))
    throw invalidClip(`fps is ${fps} (frames per second, 0.001 to 1000)`);
  const indices = spreadEvenly(pictures.length, Math.min(pictures.length, rules.video.maxFrames));
  // Fewer than the model takes together: the last one stands in.
  const wanted = Math.max(indices.length, rules.temporalPatchSize);
  const clip = new GrowingClip(wanted, rules);
  for (let at = 0; at < wanted; at++) {
    const source = pictures[indices[Math.min(at, indices.length - 1)]!]!;
    clip.put(at, typeof source === 'function' ? await source() : source);
  }
  return clip.finish(groupTimestamps(indices, fps ?? listFps, rules.temporalPatchSize));
}
