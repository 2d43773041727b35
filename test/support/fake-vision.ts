import type { EncodedMedia } from '../../src/media/encoded-media.ts';
import type { VisionModel } from '../../src/models/model.ts';
import { layOutFrames, visualCapacity, type PatchGrid } from '../../src/nn/visual-batch.ts';
import { visualPositions } from '../../src/nn/visual-positions.ts';

/** Patches of 4 pixels, four of them a token of 8 x 8. */
const grid: PatchGrid = { patchSize: 4, mergeSize: 2, tableSide: 4 };

/** Stand for what a picture and a clip become. */
export const pads = { image: 90, video: 91 } as const;

/** What a model that sees says of itself, in small numbers. */
export const fakeVision: VisionModel = {
  ...grid,
  temporalPatchSize: 2,
  imageToken: pads.image,
  videoToken: pads.video,
  widestRowBytes: 1024,
  capacity: (patches, tileRows) => visualCapacity(patches, grid, tileRows),
  batch: (frames, tileRows) => layOutFrames(frames, grid, tileRows),
  positions: visualPositions,
};

/** Media whose every byte is `shade`, of so many rows and columns of tokens. Equal shades and sizes are equal media. */
export function mediaOf(
  shade: number,
  { rows = 1, columns = 1, frames = 1 }: { rows?: number; columns?: number; frames?: number } = {},
): EncodedMedia {
  const [height, width] = [8 * rows, 8 * columns];
  const kind = frames === 1 ? 'image' : 'video';
  const rgb = new Uint8Array(frames * height * width * 3).fill(shade);
  const hash = `${kind} ${frames} x ${height} x ${width} of ${shade}`;
  const timestamps = Array.from({ length: frames / 2 }, (_, i) => i + 0.5);
  return { kind, rgb, frames, height, width, hash, ...(kind === 'video' && { timestamps }) };
}
