import { type Clip, GrowingClip, invalidClip } from './clip.ts';
import { decodeFrames } from './decode-frames.ts';
import { FrameReader } from './frame-reader.ts';
import type { MediaRules } from './media-rules.ts';
import { groupTimestamps, sampleFrames } from './sample-frames.ts';
import { checkFramePixels, scanClip } from './scan-clip.ts';
import { turnPicture } from './turn-picture.ts';
import { findWebCodecs } from './video-decoder-node.ts';

/**
 * Decodes a clip into what the model sees: frames sampled by transformers' rule, turned as the file says for display, resized.
 * Beside the clip there are the frame that is being read, as samples and as pixels, and those that the decoder holds.
 * @param bytes an MP4, QuickTime, WebM or Matroska file
 * @throws WgrankError `media-invalid`, `media-too-large`, `decoder-missing`
 */
export async function decodeClip(bytes: Uint8Array, rules: MediaRules): Promise<Clip> {
  const scanned = await scanClip(bytes);
  const indices = sampleFrames(scanned.frames, scanned.fps, rules.video);
  if (indices.length < rules.temporalPatchSize)
    throw invalidClip(`the clip gives ${indices.length} frames (at least ${rules.temporalPatchSize}; send a picture)`);
  const codecs = await findWebCodecs();
  const places = new Map(indices.map((index, place) => [index, place]));
  const clip = new GrowingClip(indices.length, rules);
  const reader = new FrameReader();
  await decodeFrames(codecs, scanned, new Set(indices), async (index, frame) => {
    const { width, height } = frame.visibleRect ?? { width: 0, height: 0 };
    checkFramePixels(width, height);
    clip.put(places.get(index)!, turnPicture(await reader.read(frame), scanned.rotation));
  });
  return clip.finish(groupTimestamps(indices, scanned.fps, rules.temporalPatchSize));
}
