import { readFileSync } from 'node:fs';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { WgrankError } from '../../src/errors.ts';
import { decodeClip } from '../../src/media/decode-clip-node.ts';
import { scanClip } from '../../src/media/scan-clip.ts';
import { findWebCodecs } from '../../src/media/video-decoder-node.ts';
import { hugeMp4, hugeMatroska } from './huge-clips.ts';
import { rulesWith } from './model-pixels.ts';

const codecs = await findWebCodecs().catch(() => undefined);
const suite = codecs ? describe : describe.skip;
const needed = codecs ? '' : ': needs @napi-rs/webcodecs, which is not installed';

const read = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
const text = (content: string) => new TextEncoder().encode(content);
const bytes = (...head: number[]) => Uint8Array.from({ length: 200 }, (_, at) => head[at] ?? at);

/** A plain `[video] …` message without anything of the libraries or the machine in it. */
const named = (code: string, message: RegExp) => ({
  name: 'WgrankError',
  code,
  message: expect.stringMatching(new RegExp(`^\\[video\\] ${message.source}`)),
});

describe('what is no clip', () => {
  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['one byte', Uint8Array.of(0)],
    ['a text', text('This is a film about two cats and a dog. '.repeat(9))],
    ['a JPEG', bytes(0xff, 0xd8, 0xff, 0xe0)],
    ['a PNG', bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
    ['a GIF', text('GIF89a'.padEnd(200, '\0'))],
    ['an SVG', text('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>')],
    [
      'an HLS playlist',
      text('#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n'),
    ],
    ['a list for concat', text("ffconcat version 1.0\nfile 'file:///etc/passwd'\nfile 'http://127.0.0.1:1/a.mp4'\n")],
    ['a DASH manifest', text('<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>')],
    ['an MPEG transport stream', Uint8Array.from({ length: 188 * 9 }, (_, at) => (at % 188 === 0 ? 0x47 : 0xff))],
    ['a WAV', text('RIFF\0\0\0\0WAVEfmt '.padEnd(200, '\0'))],
    ['an AVI', text('RIFF\0\0\0\0AVI LIST'.padEnd(200, '\0'))],
    ['an Ogg', text('OggS'.padEnd(200, '\0'))],
    ['an MP3', text('ID3\u0004\0\0\0\0\0\0'.padEnd(200, '\0'))],
    ['a FLAC', text('fLaC'.padEnd(200, '\0'))],
  ])('%s', async (_, file) => {
    await expect(decodeClip(file, rulesWith())).rejects.toMatchObject(named('media-invalid', /the file (is no|has)/));
  });

  it('a file of boxes or elements without a track', async () => {
    for (const file of [
      text('\0\0\0\u0010ftypisom\0\0\0\0'),
      bytes(0x1a, 0x45, 0xdf, 0xa3, 0x80),
      bytes(0, 0, 0, 8, 0x6d, 0x6f, 0x6f, 0x76),
    ])
      await expect(decodeClip(file, rulesWith())).rejects.toMatchObject(named('media-invalid', /the file/));
  });

  it('a sound', async () => {
    const sound = decodeClip(read('audio-only.mp4'), rulesWith());
    await expect(sound).rejects.toMatchObject(named('media-invalid', /the file has no video track/));
  });

  it('a clip of one frame', async () => {
    await expect(decodeClip(read('clip-one-frame.mp4'), rulesWith())).rejects.toMatchObject(
      named('media-invalid', /the clip gives 1 frames \(at least 2; send a picture\)/),
    );
  });
});

describe('limits that hold before anything is decoded', () => {
  const million = 1_000_000;

  it.each<[string, () => Uint8Array]>([
    ['an MP4 with a size for each of a million frames', () => hugeMp4({ sizes: million })],
    ['an MP4 with a time for each of a million frames', () => hugeMp4({ times: million })],
    ['an MP4 that declares four billion frames of one size', () => hugeMp4({ declaredSizes: 2 ** 32 - 1 })],
    ['an MP4 that declares four billion frames of one duration', () => hugeMp4({ declaredTimes: 2 ** 32 - 1 })],
    ['an MP4 that declares four billion offsets in time', () => hugeMp4({ declaredOffsets: 2 ** 32 - 1 })],
    ['an MP4 that declares four billion frames in a fragment', () => hugeMp4({ declaredInFragment: 2 ** 32 - 1 })],
    ['an MP4 whose track has its number last', () => hugeMp4({ declaredTimes: 2 ** 32 - 1, numberLast: true })],
    ['an MP4 of a hundred thousand fragments', () => hugeMp4({ fragments: 100_001 })],
    ['a WebM of a million blocks in one cluster', () => hugeMatroska({ blocks: million })],
    ['a WebM of a million clusters', () => hugeMatroska({ clusters: million })],
    ['a WebM of blocks with 256 frames each', () => hugeMatroska({ laced: 50_000 })],
  ])('%s', async (_, make) => {
    const file = make();
    const memory = process.resourceUsage().maxRSS;
    const start = performance.now();
    await expect(decodeClip(file, rulesWith())).rejects.toMatchObject(
      named('media-too-large', /the clip has more than 100000 frames/),
    );
    expect(performance.now() - start).toBeLessThan(2000);
    expect(process.resourceUsage().maxRSS - memory).toBeLessThan(256 * 2 ** 10);
  });

  it('a film of just under a hundred thousand frames is scanned', async () => {
    const clip = await scanClip(hugeMatroska({ blocks: 99_000 }));
    expect(clip.frames).toBe(99_000);
  });

  it('frames that are too large, by the container or by the bitstream', async () => {
    const clip = read('clip-h264.mp4');
    const at = Buffer.from(clip).indexOf('avc1', Buffer.from(clip).indexOf('stsd')) + 28;
    clip.set([0x40, 0, 0x40, 0], at);
    const tooLarge = (size: string) =>
      named('media-too-large', new RegExp(`frames have ${size} pixels \\(at most 9437184`));
    await expect(decodeClip(clip, rulesWith())).rejects.toMatchObject(tooLarge('16384x16384'));
    const memory = process.resourceUsage().maxRSS;
    await expect(decodeClip(read('lying-size.mp4'), rulesWith())).rejects.toMatchObject(tooLarge('8192x4352'));
    expect(process.resourceUsage().maxRSS - memory).toBeLessThan(32 * 2 ** 10);
    const vp8 = read('clip-vp8.webm');
    const key = Buffer.from(vp8).indexOf(Buffer.of(0x9d, 0x01, 0x2a)) + 3;
    vp8.set([0xff, 0x3f, 0xff, 0x3f], key);
    await expect(decodeClip(vp8, rulesWith())).rejects.toMatchObject(tooLarge('16383x16383'));
  });
});

suite(`damaged files${needed}`, () => {
  const names = [
    'clip-h264.mp4',
    'clip-h264-index-first.mp4',
    'clip-h264-fragmented.mp4',
    'clip-vp9.webm',
    'clip-hevc.mp4',
    'clip-av1.mp4',
  ];

  /** A clip, or one of the two errors in plain words. */
  async function settle(file: Uint8Array, what: string): Promise<'decoded' | 'refused'> {
    try {
      const clip = await decodeClip(file, rulesWith());
      expect(clip.rgb.length, what).toBe(clip.frames * clip.height * clip.width * 3);
      return 'decoded';
    } catch (error) {
      expect(error, what).toBeInstanceOf(WgrankError);
      expect((error as WgrankError).code, what).toBeOneOf(['media-invalid', 'media-too-large']);
      expect((error as WgrankError).message, what).toMatch(/^\[video\] [\w ,.()%:;-]+$/);
      return 'refused';
    }
  }

  it.each(names)('%s, cut anywhere', async (name) => {
    const whole = read(name);
    let refused = 0;
    for (let length = 0; length < whole.length; length += Math.ceil(whole.length / 40))
      if ((await settle(whole.slice(0, length), `${name} cut to ${length} bytes`)) === 'refused') refused++;
    // A fragmented or WebM file that ends early is a shorter clip.
    expect(refused).toBeGreaterThan(name.includes('fragmented') || name.endsWith('webm') ? 3 : 39);
  });

  it.each(names)('%s, with wrong bytes', async (name) => {
    let state = 7;
    const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below;
    for (let turn = 0; turn < 60; turn++) {
      const file = read(name);
      const wrong = Array.from({ length: 1 + random(4) }, () => [random(file.length), random(256)] as const);
      for (const [at, value] of wrong) file[at] = value;
      await settle(file, `${name} with ${JSON.stringify(wrong)}`);
    }
  });
});

describe('without a decoder', () => {
  afterEach(() => {
    vi.doUnmock('@napi-rs/webcodecs');
    vi.unstubAllGlobals();
  });

  it('says how to install one', async () => {
    vi.doMock('@napi-rs/webcodecs', () => {
      throw new Error('Cannot find package');
    });
    await expect(decodeClip(read('clip-h264.mp4'), rulesWith())).rejects.toMatchObject({
      code: 'decoder-missing',
      message: '[video] no decoder is installed (npm install @napi-rs/webcodecs@1.3.1, or send the frames as pictures)',
    });
  });

  it('takes the one among the globals first', async () => {
    const [VideoDecoder, EncodedVideoChunk] = [vi.fn(), vi.fn()];
    vi.stubGlobal('VideoDecoder', VideoDecoder);
    vi.stubGlobal('EncodedVideoChunk', EncodedVideoChunk);
    expect(await findWebCodecs()).toEqual({ VideoDecoder, EncodedVideoChunk });
  });
});
