import { inflateSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { GrowingClip, type Clip, type Picture } from '../../src/media/clip.ts';
import { clipOfPictures } from '../../src/media/clip-of-pictures.ts';
import type { MediaRules } from '../../src/media/media-rules.ts';
import { groupTimestamps, sampleFrames, spreadEvenly } from '../../src/media/sample-frames.ts';
import { smartResizeVideo } from '../../src/media/smart-resize-video.ts';
import golden from './fixtures/video-golden.json' with { type: 'json' };
import fixture from './fixtures/video-rules.json' with { type: 'json' };
import { compareWithModel, rulesWith } from './model-pixels.ts';

/** As in the script: a row of indices in one number. */
const checksum = (indices: readonly number[]) =>
  Number(indices.reduce((sum, index, place) => sum + BigInt(place + 1) * BigInt(index), 0n) % BigInt(2 ** 31 - 1));

describe('transformers’ rules for clips', () => {
  type Row = [number, number | null, number, number, number, number, number, number];
  const rows = fixture.sampling as Row[];

  it(`samples ${rows.length} clips alike, and times them`, () => {
    expect(rows.length).toBeGreaterThan(800);
    for (const [total, fps, rate, minFrames, maxFrames, count, sum, seconds] of rows) {
      const rules = { ...rulesWith().video, fps: rate, minFrames, maxFrames };
      const indices = sampleFrames(total, fps ?? undefined, rules);
      const at = `${total} frames at ${fps}, ${rate} wanted, ${minFrames} to ${maxFrames}`;
      expect([indices.length, checksum(indices)], at).toEqual([count, sum]);
      const stamps = groupTimestamps(indices, fps ?? undefined, 2);
      expect(
        stamps.reduce((a, b) => a + b, 0),
        at,
      ).toBe(seconds);
    }
  });

  it('rounds halves as numpy does', () => {
    for (const [total, ...indices] of fixture.indices as number[][])
      expect(spreadEvenly(total!, indices.length)).toEqual(indices);
  });

  it(`chooses ${fixture.sizes.length} sizes alike, and refuses the same frames`, () => {
    for (const [frames, height, width, minPixels, maxPixels, size] of fixture.sizes as [
      ...[number, number, number, number, number],
      [number, number] | null,
    ][]) {
      const resize = () =>
        smartResizeVideo(frames, height, width, { factor: 32, temporalFactor: 2, minPixels, maxPixels });
      if (size) expect(Object.values(resize()), `${frames}x${height}x${width}`).toEqual(size);
      else expect(resize).toThrow('absolute aspect ratio must be smaller than 200');
    }
  });

  it.each(golden.made)('prepares $total frames of $heightx$width at $fps as its processor does', (made) => {
    const { total, height, width } = made;
    const [fps, minFrames, maxFrames] = made.bounds as [number, number, number];
    const rules: MediaRules = rulesWith({ fps, minFrames, maxFrames });
    const indices = sampleFrames(total, made.fps ?? undefined, rules.video);
    expect(indices).toEqual(made.indices);
    const growing = new GrowingClip(indices.length, rules);
    for (const [at, index] of indices.entries()) growing.put(at, madeFrame(index, height, width));
    const clip = growing.finish(groupTimestamps(indices, made.fps ?? undefined, 2));
    expect(clip.timestamps).toEqual(made.timestamps);
    compareWithModel(clip, made.grid, inflateSync(Buffer.from(made.pixels, 'base64')));
  });
});

/** As in the script. */
function madeFrame(f: number, height: number, width: number): Picture {
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) rgb[at++] = (31 * f + 7 * y + 3 * x + 50 * c + ((f * x * y) % 97)) % 256;
  return { rgb, width, height };
}

describe('clips of pictures', () => {
  const rules = rulesWith();
  const picturesOf = (count: number) => Array.from({ length: count }, (_, f) => madeFrame(f, 64, 64));
  const frameOf = (clip: Clip, at: number) => clip.rgb.subarray(at * 64 * 64 * 3, (at + 1) * 64 * 64 * 3);

  it('keeps all, in order, two a second', async () => {
    const pictures = picturesOf(6);
    const clip = await clipOfPictures(pictures, undefined, rules);
    expect(clip).toMatchObject({ frames: 6, height: 64, width: 64, timestamps: [0.25, 1.25, 2.25] });
    for (const [at, { rgb }] of pictures.entries()) expect(frameOf(clip, at)).toEqual(rgb);
  });

  it('repeats the last of an odd number, in time as well', async () => {
    const pictures = picturesOf(5);
    const clip = await clipOfPictures(pictures, 4, rules);
    expect(clip).toMatchObject({ frames: 6, timestamps: [0.125, 0.625, 1] });
    expect(frameOf(clip, 5)).toEqual(pictures[4]!.rgb);
  });

  it('shows a single one twice', async () => {
    const pictures = picturesOf(1);
    const clip = await clipOfPictures(pictures, undefined, rules);
    expect(clip).toMatchObject({ frames: 2, timestamps: [0] });
    expect([frameOf(clip, 0), frameOf(clip, 1)]).toEqual([pictures[0]!.rgb, pictures[0]!.rgb]);
  });

  it('asks only for the pictures it keeps, one after the other', async () => {
    const asked: number[] = [];
    let open = 0;
    const pictures = picturesOf(11).map((picture, index) => async () => {
      expect(++open).toBe(1);
      asked.push(index);
      await new Promise((resolve) => setTimeout(resolve, 1));
      open--;
      return picture;
    });
    const clip = await clipOfPictures(pictures, undefined, rulesWith({ maxFrames: 5 }));
    // 2.5 and 7.5 go to the even neighbour.
    expect(asked).toEqual([0, 2, 5, 8, 10]);
    expect(clip).toMatchObject({ frames: 6, timestamps: [0.5, 3.25, 5] });
  });

  it('refuses pictures of different sizes, none at all, and rates that are none', async () => {
    const pictures = [madeFrame(0, 64, 64), madeFrame(1, 64, 96)];
    await expect(clipOfPictures(pictures, undefined, rules)).rejects.toMatchObject({
      code: 'media-invalid',
      message: '[video] frame 1 has 96x64 pixels: another one has 64x64 (one size for all)',
    });
    await expect(clipOfPictures([], undefined, rules)).rejects.toMatchObject({ code: 'media-invalid' });
    for (const fps of [0, -1, NaN, Infinity, 1e-9])
      await expect(clipOfPictures(picturesOf(2), fps, rules)).rejects.toMatchObject({ code: 'media-invalid' });
  });
});
