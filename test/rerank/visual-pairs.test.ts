import { describe, expect, it } from 'vitest';
import type { EncodedMedia } from '../../src/media/encoded-media.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { VisualPairs } from '../../src/rerank/visual-pairs.ts';
import { fakeVision, mediaOf, pads } from '../support/fake-vision.ts';

const pairsOf = (mostPatches = 1000) => new VisualPairs(fakeVision, mostPatches);
const { image, video } = pads;
const times = (id: number, count: number) => Array<number>(count).fill(id);
const pair = (ids: readonly number[], ...media: EncodedMedia[]): EnginePair => ({
  ids: Int32Array.from(ids),
  truncatedTokens: 0,
  media,
});

/** Numbers of the visual tokens. */
const numbers = ({ ids }: { ids: Int32Array }) => [...ids].filter((id) => id < 0).map((id) => ~id);

describe('sequences', () => {
  it('of texts alone are as they were, on three equal axes', () => {
    const sequence = pairsOf().sequence(pair([1, 2, 3]));
    expect([...sequence.ids]).toEqual([1, 2, 3]);
    expect([...sequence.positions!]).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
    expect(sequence.visuals).toEqual([]);
    const { media: _, ...bare } = pair([1]);
    expect([...pairsOf().sequence(bare).ids]).toEqual([1]);
  });

  it('have a number for each token of a picture, and its place; the pair stays as it was', () => {
    const given = pair([5, ...times(image, 6), 7], mediaOf(1, { rows: 2, columns: 3 }));
    const sequence = pairsOf().sequence(given);
    expect([...sequence.ids]).toEqual([5, ~0, ~1, ~2, ~3, ~4, ~5, 7]);
    expect([...given.ids]).toEqual([5, ...times(image, 6), 7]);
    const [visual] = sequence.visuals!;
    expect(visual).toMatchObject({ at: 1, unit: { height: 16, width: 24, patches: 24, tokens: 6 } });
    expect(visual!.unit.rgb).toEqual(given.media![0]!.rgb);
    expect([...sequence.positions!]).toEqual([...fakeVision.positions(8, [{ at: 1, rows: 2, columns: 3 }])]);
  });

  it('have a run for each two frames of a clip, whose bytes are its own', () => {
    const clip = mediaOf(1, { columns: 2, frames: 4 });
    clip.rgb.fill(2, clip.rgb.length / 2);
    const sequence = pairsOf().sequence(pair([3, video, video, 4, video, video, 5], clip));
    expect([...sequence.ids]).toEqual([3, ~0, ~1, 4, ~2, ~3, 5]);
    const units = sequence.visuals!.map(({ unit }) => unit);
    expect(units.map(({ tokens }) => tokens)).toEqual([2, 2]);
    expect(units.map(({ rgb }) => [rgb.length, rgb[0], rgb.at(-1)])).toEqual([
      [2 * 8 * 16 * 3, 1, 1],
      [2 * 8 * 16 * 3, 2, 2],
    ]);
    expect(new Set(units.map(({ key }) => key)).size).toBe(2);
    const runs = [
      { at: 1, rows: 1, columns: 2 },
      { at: 4, rows: 1, columns: 2 },
    ];
    expect([...sequence.positions!]).toEqual([...fakeVision.positions(7, runs)]);
  });

  it('take pictures and clips in their order', () => {
    const media = [mediaOf(1), mediaOf(2, { frames: 2 }), mediaOf(3, { rows: 2 })];
    const sequence = pairsOf().sequence(pair([image, video, image, image, 9], ...media));
    expect(sequence.visuals!.map(({ at, unit }) => [at, unit.key])).toEqual(
      media.map(({ hash }, i) => [i, `${hash}/0`]),
    );
  });
});

describe('numbers', () => {
  it('are equal for equal media, in one sequence and in several, and differ otherwise', () => {
    const pairs = pairsOf();
    // As they come over a process boundary: equal, and not the same object.
    const twice = pairs.sequence(pair([image, 1, image, 2], mediaOf(1), mediaOf(1)));
    expect(numbers(twice)).toEqual([0, 0]);
    const others = pairs.sequence(
      pair([image, image, image, video, 3], mediaOf(2), mediaOf(1), mediaOf(3), mediaOf(1, { frames: 2 })),
    );
    expect(numbers(others)).toEqual([1, 0, 2, 3]);
    const larger = pairs.sequence(pair([image, image, 1], mediaOf(1, { columns: 2 })));
    expect(numbers(larger)).toEqual([4, 5]);
    expect(numbers(pairs.sequence(pair([image, 1], mediaOf(1))))).toEqual([0]);
  });

  it('are never an id, so that pictures never count as equal to texts', () => {
    const { ids } = pairsOf().sequence(pair([image, 1], mediaOf(1)));
    expect(ids[0]).toBeLessThan(0);
  });

  it('are held until the last sequence that shows the picture is released, and used again then', () => {
    const pairs = pairsOf();
    const [a, b] = [
      pairs.sequence(pair([image, 1], mediaOf(1))),
      pairs.sequence(pair([image, image, 1], mediaOf(1), mediaOf(2))),
    ];
    expect([numbers(a), numbers(b)]).toEqual([[0], [0, 1]]);
    pairs.release(a);
    expect(numbers(pairs.sequence(pair([image, 1], mediaOf(3))))).toEqual([2]);
    expect(numbers(pairs.sequence(pair([image, 1], mediaOf(1))))).toEqual([0]);
    pairs.release(b);
    // The picture of shade 1 is shown by another still.
    expect(numbers(pairs.sequence(pair([image, 1], mediaOf(4))))).toEqual([1]);
  });

  it('of a picture that a sequence shows twice are released once', () => {
    const pairs = pairsOf();
    const twice = () => pairs.sequence(pair([image, 1, image, 2], mediaOf(1), mediaOf(1)));
    const [a, b] = [twice(), twice()];
    pairs.release(a);
    expect(numbers(pairs.sequence(pair([image, 1], mediaOf(2))))).toEqual([1]);
    pairs.release(b);
    expect(numbers(pairs.sequence(pair([image, image, 1], mediaOf(3, { columns: 2 }))))).toEqual([0, 2]);
  });

  it('need not lie together', () => {
    const pairs = pairsOf();
    const [a, , c] = [1, 2, 3].map((shade) => pairs.sequence(pair([image, 1], mediaOf(shade))));
    pairs.release(a!);
    pairs.release(c!);
    const wide = pairs.sequence(pair([...times(image, 3), 1], mediaOf(4, { columns: 3 })));
    expect(numbers(wide)).toEqual([0, 2, 3]);
  });

  it('are not taken by a pair that is refused', () => {
    const pairs = pairsOf();
    expect(() => pairs.sequence(pair([image, image, 1], mediaOf(1)))).toThrow('[engine]');
    expect(numbers(pairs.sequence(pair([image, 1], mediaOf(2))))).toEqual([0]);
  });
});

const fits = mediaOf(1, { columns: 2 });
const rule = 'stands for no picture, or for one that does not fit there';

describe('refused by name', () => {
  it.each<[string, EnginePair, string]>([
    ['a place without a picture', pair([1, image, 2]), `token 1 ${rule}`],
    ['a place too many', pair([image, image, image, 2], fits), `token 2 ${rule}`],
    ['a place behind the last clip', pair([video, 1, video, 2], mediaOf(1, { frames: 2 })), `token 2 ${rule}`],
    ['a picture without a place', pair([1, 2], fits), '1 pictures and frame pairs for 0 places'],
    [
      'a clip’s second half without a place',
      pair([video, 2], mediaOf(1, { frames: 4 })),
      '2 pictures and frame pairs for 1 places',
    ],
    ['too few places', pair([image, 1, 2], fits), `token 0 ${rule}`],
    ['a text in between', pair([image, 1, image, 2], fits), `token 0 ${rule}`],
    ['a picture where a clip stands', pair([video, video, 1], fits), `token 0 ${rule}`],
    [
      'a clip where a picture stands',
      pair([image, image, 1], mediaOf(1, { columns: 2, frames: 2 })),
      `token 0 ${rule}`,
    ],
    ['a picture at the end, where the score is read', pair([1, image, image], fits), `token 1 ${rule}`],
    ['a picture beyond the end', pair([1, image], fits), `token 1 ${rule}`],
    ['an odd clip', pair([video, 1], mediaOf(1, { frames: 3 })), 'video of 3 frames, 8 x 8 pixels, in 576 bytes'],
    [
      'a clip of nothing',
      pair([1], { ...mediaOf(1, { frames: 2 }), frames: 0, rgb: new Uint8Array(0) }),
      'video of 0 frames, 8 x 8 pixels, in 0 bytes',
    ],
    [
      'a picture of two frames',
      pair([image, image, 1], { ...mediaOf(1, { frames: 2 }), kind: 'image' }),
      'image of 2 frames, 8 x 8 pixels, in 384 bytes',
    ],
    [
      'bytes that are missing',
      pair([image, 1], { ...mediaOf(1), rgb: new Uint8Array(191) }),
      'image of 1 frames, 8 x 8 pixels, in 191 bytes',
    ],
    [
      'bytes too many',
      pair([image, 1], { ...mediaOf(1), rgb: new Uint8Array(193) }),
      'image of 1 frames, 8 x 8 pixels, in 193 bytes',
    ],
    [
      'half a token',
      pair([image, 1], { ...mediaOf(1), height: 4, width: 16 }),
      'image of 1 frames, 4 x 16 pixels, in 192 bytes',
    ],
    [
      'no height',
      pair([1], { ...mediaOf(1), height: 0, rgb: new Uint8Array(0) }),
      'image of 1 frames, 0 x 8 pixels, in 0 bytes',
    ],
    [
      'a negative size',
      pair([image, 1], { ...mediaOf(1), height: -8, width: -8 }),
      'image of 1 frames, -8 x -8 pixels, in 192 bytes',
    ],
    [
      'a size that is no number',
      pair([image, 1], { ...mediaOf(1), height: Number.NaN }),
      'image of 1 frames, NaN x 8 pixels, in 192 bytes',
    ],
  ])('%s', (_, given, message) => {
    expect(() => pairsOf().sequence(given)).toThrow(
      expect.objectContaining({ code: 'input-invalid', message: `[engine] ${message}` }),
    );
  });

  it.each([
    ['a picture', mediaOf(1, { rows: 2, columns: 2 }), 'a picture'],
    ['a clip', mediaOf(1, { rows: 2, columns: 2, frames: 2 }), 'a frame of a clip'],
  ])('%s that the tower has no room for', (_, media, what) => {
    const given = pair([...times(media.kind === 'image' ? image : video, 4), 1], media);
    expect(() => pairsOf(15).sequence(given)).toThrow(
      expect.objectContaining({
        code: 'media-too-large',
        message: `[engine] ${what} of 16 x 16 pixels has 16 patches (this server has room for 15 at a time: show a smaller one)`,
      }),
    );
    expect(numbers(pairsOf(16).sequence(given))).toEqual([0, 1, 2, 3]);
  });
});
