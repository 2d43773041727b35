import { expect, test } from 'vitest';

import { countMp4Frames } from '../../src/media/mp4-frame-count.ts';
import { box, u32 } from './huge-clips.ts';

/** MP4 files that hide their tables from a count, though not from a demuxer. */

const million = 1_000_000;
const times = (frames: number) => box('stts', u32(0, 1, frames, 10));
const header = (id: number) => box('tkhd', u32(7, 0, 0, id, 0, 1000), Buffer.alloc(60));
const handler = (kind: string) => box('hdlr', u32(0, 0), Buffer.from(kind), u32(0, 0, 0, 0));
const tables = (...parts: Buffer[]) => box('minf', box('stbl', ...parts));
const video = (id: number, ...parts: Buffer[]) => box('trak', header(id), box('mdia', handler('vide'), ...parts));
const movie = (...parts: Buffer[]) => box('moov', ...parts);
const fragment = (...parts: Buffer[]) => box('moof', box('traf', ...parts));
const most = (...file: Buffer[]) => countMp4Frames(Buffer.concat(file)).most;
/** A box that says it is longer than it is. */
const longer = (bytes: Buffer, by: number) => Buffer.concat([u32(bytes.length + by), bytes.subarray(4)]);

const small = tables(times(4));
const sound = box('trak', header(2), box('mdia', handler('soun'), tables(times(million))));

test.each<[string, Buffer[]]>([
  [
    'the number behind the tables',
    [movie(box('trak', box('mdia', handler('vide'), tables(times(million))), header(1)))],
  ],
  ['the kind behind the tables', [movie(box('trak', header(1), box('mdia', tables(times(million)), handler('vide'))))]],
  ['two tables of half', [movie(video(1, tables(times(million / 2), times(million / 2))))]],
  ['a track in a track', [movie(box('trak', header(1), video(2, tables(times(million)))))]],
  ['tables in an edit', [movie(box('trak', header(1), handler('vide'), box('edts', box('stbl', times(million)))))]],
  ['deep boxes', [movie(video(1, box('mdia', box('mdia', box('mdia', tables(times(million)))))))]],
  ['a track in metadata', [movie(box('udta', box('meta', u32(0), video(1, tables(times(million))))))]],
  ['a track in QuickTime’s metadata', [movie(box('meta', video(1, tables(times(million)))))]],
  ['a track in the index of fragments', [box('mfra', video(1, tables(times(million))))]],
  [
    'a fragment of two tracks',
    [
      movie(video(1, small), sound),
      fragment(box('tfhd', u32(0, 1)), box('trun', u32(0, million)), box('tfhd', u32(0, 2))),
    ],
  ],
  [
    'a fragment that says late whose it is',
    [movie(video(1, small)), fragment(box('trun', u32(0, million)), box('tfhd', u32(0, 1)))],
  ],
  [
    'a track of two numbers',
    [
      movie(box('trak', header(1), header(3), box('mdia', handler('vide'), small))),
      fragment(box('tfhd', u32(0, 1)), box('trun', u32(0, million))),
    ],
  ],
])('%s', (_, file) => {
  expect(most(...file)).toBeGreaterThanOrEqual(million);
});

test.each<[string, Buffer[], RegExp]>([
  [
    'tables behind their box',
    [movie(longer(video(1, longer(small, 100)), 0), box('free', times(million)))],
    /longer than/,
  ],
  ['a table longer than its box', [movie(video(1, tables(box('stts', u32(0, 1000, 1, 10)))))], /a table says/],
  [
    'tables in a description',
    [movie(video(1, tables(box('stsd', u32(0, 1), box('avc1', Buffer.alloc(78), box('stbl', times(million)))))))],
    /a track lies in the description of another/,
  ],
  [
    'a track under thirty others',
    [movie(Array.from({ length: 30 }).reduce<Buffer>((inner) => box('edts', inner), video(1, small)))],
    /boxes lie in 16 others/,
  ],
])('%s is refused', (_, file, message) => {
  expect(() => most(...file)).toThrow(message);
});

test('what honest files hold is counted', () => {
  expect(countMp4Frames(movie(sound, video(1, small, box('free', Buffer.alloc(9)))))).toEqual({ most: 4, listed: 0 });
  const sizes = box('stsz', u32(0, 1, 7));
  expect(countMp4Frames(movie(video(1, tables(times(7), sizes))))).toEqual({ most: 7, listed: 7 });
  const run = fragment(box('tfhd', u32(0, 1)), box('trun', u32(0, 5)));
  expect(most(movie(video(1, small), sound), run, run)).toBe(14);
});
