import { expect } from 'vitest';

import type { Clip } from '../../src/media/clip.ts';
import type { MediaRules, VideoRules } from '../../src/media/media-rules.ts';

/** The published models' rules, with another sampling where a test wants it. */
export const rulesWith = (video: Partial<VideoRules> = {}): MediaRules => ({
  patchSize: 16,
  temporalPatchSize: 2,
  mergeSize: 2,
  mean: [127.5, 127.5, 127.5],
  std: [127.5, 127.5, 127.5],
  image: { minPixels: 4096, maxPixels: 1_310_720 },
  video: { minPixels: 4096, maxPixels: 25_165_824, fps: 2, minFrames: 4, maxFrames: 768, ...video },
});

/**
 * Compares with what transformers' processor gives, back in 8 bits. Its torchvision and Pillow, which wgrank follows, differ by one
 * level at most: 1/127.5 of a value that the model reads; 1e-3 on average is 0.1275 levels.
 */
export function compareWithModel(clip: Clip, grid: readonly number[], expected: Uint8Array): void {
  const [times, rows, columns] = grid as [number, number, number];
  expect([clip.frames, clip.height, clip.width]).toEqual([times * 2, rows * 16, columns * 16]);
  const patches = patchify(clip);
  expect(patches.length).toBe(expected.length);
  let sum = 0;
  let most = 0;
  for (const [at, value] of patches.entries()) {
    const difference = Math.abs(value - expected[at]!);
    sum += difference;
    most = Math.max(most, difference);
  }
  expect(most).toBeLessThanOrEqual(1);
  expect(sum / patches.length).toBeLessThanOrEqual(0.1275);
}

/** reference order: frame pair, block row, block column, row and column in the block; inside channel, frame, patch row and column. */
function patchify({ rgb, frames, height, width }: Clip): Uint8Array {
  const values = new Uint8Array(rgb.length);
  let to = 0;
  for (let time = 0; time < frames; time += 2)
    for (let top = 0; top < height; top += 32)
      for (let left = 0; left < width; left += 32)
        for (const [row, column] of [
          [0, 0],
          [0, 16],
          [16, 0],
          [16, 16],
        ] as const)
          for (let channel = 0; channel < 3; channel++)
            for (let frame = time; frame < time + 2; frame++)
              for (let y = top + row; y < top + row + 16; y++)
                for (let x = left + column; x < left + column + 16; x++)
                  values[to++] = rgb[((frame * height + y) * width + x) * 3 + channel]!;
  return values;
}
