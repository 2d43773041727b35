import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { inflateSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import type { Picture } from '../../src/media/clip.ts';
import { codedSizes } from '../../src/media/coded-sizes.ts';
import { decodeClip } from '../../src/media/decode-clip-node.ts';
import { decodeFrames, runsOf } from '../../src/media/decode-frames.ts';
import { FrameReader } from '../../src/media/frame-reader.ts';
import { type ClipPacket, type ScannedClip, scanClip } from '../../src/media/scan-clip.ts';
import { turnPicture } from '../../src/media/turn-picture.ts';
import { findWebCodecs } from '../../src/media/video-decoder-node.ts';
import type { WebCodecs } from '../../src/media/web-codecs.ts';
import golden from './fixtures/video-golden.json' with { type: 'json' };
import { compareWithModel, rulesWith } from './model-pixels.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const codecs = await findWebCodecs().catch(() => undefined);
const suite = codecs ? describe : describe.skip;
const needed = codecs ? '' : ': needs @napi-rs/webcodecs, which is not installed';

interface Expected {
  readonly frames: number;
  readonly format: string;
  readonly rotation: number;
  readonly scannedFps: number;
  readonly height: number;
  readonly width: number;
  readonly hashes: readonly string[];
  readonly means: readonly (readonly number[])[];
  readonly model?: { readonly grid: number[]; readonly timestamps: number[]; readonly pixels: string };
}
const clips = Object.entries(golden.clips as unknown as Record<string, Expected>);

const read = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
const hashOf = ({ rgb }: Picture) => createHash('sha256').update(rgb).digest('hex').slice(0, 16);
const all = (clip: ScannedClip) => Array.from({ length: clip.frames }, (_, index) => index);

async function framesOf(clip: ScannedClip, wanted: readonly number[]): Promise<Map<number, Picture>> {
  const frames = new Map<number, Picture>();
  await decodeFrames(codecs!, clip, new Set(wanted), async (index, frame) => {
    frames.set(index, turnPicture(await new FrameReader().read(frame), clip.rotation));
  });
  expect([...frames.keys()]).toEqual(wanted);
  return frames;
}

describe('what a file says', () => {
  it.each(clips)('%s: frames, rate and turn', async (name, expected) => {
    const clip = await scanClip(read(name));
    expect([clip.frames, clip.rotation]).toEqual([expected.frames, expected.rotation]);
    // FFmpeg gives frames that come at varying times the durations of their neighbours in the order of decoding; the time in
    // which they are shown is 1.34 + 0.04 seconds.
    expect(clip.fps).toBeCloseTo(name === 'clip-h264-varying.mp4' ? 20 / 1.38 : expected.scannedFps, 12);
  });
});

it.each(clips)('%s: its bitstream states its size', async (name, expected) => {
  const { decoderConfig, packets } = await scanClip(read(name));
  const description = decoderConfig.description as Uint8Array | undefined;
  const data = packets.map((packet) => packet.data);
  const sizes = [...codedSizes(decoderConfig.codec, description, data)];
  expect(sizes.length).toBeGreaterThan(0);
  // Before the turn, and without what H.264 cuts off its blocks of 16.
  const [height, width] =
    expected.rotation === 90 ? [expected.width, expected.height] : [expected.height, expected.width];
  for (const size of sizes) {
    expect(size.width - width).toBeOneOf(name === 'clip-odd-size.mp4' ? [3] : [0]);
    expect(size.height - height).toBeOneOf(name === 'clip-odd-size.mp4' ? [3] : [0]);
  }
});

suite(`decoding${needed}`, () => {
  it.each(clips)('%s: every frame as FFmpeg gives it', async (name, expected) => {
    const clip = await scanClip(read(name));
    const frames = await framesOf(clip, all(clip));
    for (const [index, frame] of frames) {
      expect([frame.height, frame.width]).toEqual([expected.height, expected.width]);
      // Not to the bit where chroma is whole (±1 from FFmpeg's converter) or has more than 8 bits (it interpolates).
      if (['yuv420p', 'yuvj420p'].includes(expected.format)) expect(hashOf(frame)).toBe(expected.hashes[index]);
      const levels = expected.format === 'yuv444p' ? 0.02 : 2;
      for (const [channel, mean] of meansOf(frame).entries())
        expect(Math.abs(mean - expected.means[index]![channel]!)).toBeLessThan(levels);
    }
  });

  it('decodes single frames as it does in a row, from whichever key frame they need', async () => {
    for (const name of ['clip-h264-many-keys.mp4', 'clip-h264-open-gop.mkv', 'clip-vp9.webm', 'clip-hevc.mp4']) {
      const clip = await scanClip(read(name));
      const expected = golden.clips[name as 'clip-vp9.webm'].hashes;
      for (const wanted of [[clip.frames - 1], [0, clip.frames - 1], [13, 14, 15], [3, 11, 16]])
        for (const [index, frame] of await framesOf(clip, wanted))
          expect(hashOf(frame), `${name} ${index}`).toBe(expected[index]);
    }
  });

  it('leaves pictures out that only help to decode others (VP8)', async () => {
    const bytes = read('clip-vp8.webm');
    const { packets } = await scanClip(bytes);
    // Packets are views of the file: the bit `show_frame` of the sixth.
    packets[5]!.data[0]! &= ~0x10;
    const clip = await scanClip(bytes);
    expect(clip.frames).toBe(11);
    const hashes = [...(await framesOf(clip, all(clip))).values()].map(hashOf);
    expect(hashes).toEqual(golden.clips['clip-vp8.webm'].hashes.toSpliced(5, 1));
  });

  it.each(clips.filter(([, { model }]) => model))('%s: what the model reads', async (name, expected) => {
    const clip = await decodeClip(read(name), rulesWith());
    expect(clip.timestamps).toEqual(expected.model!.timestamps);
    compareWithModel(clip, expected.model!.grid, inflateSync(Buffer.from(expected.model!.pixels, 'base64')));
  });

  it('refuses a clip whose frames do not all come out', async () => {
    const clip = await scanClip(read('clip-h264.mp4'));
    const silent = {
      ...codecs!,
      VideoDecoder: class extends codecs!.VideoDecoder {
        constructor(init: ConstructorParameters<WebCodecs['VideoDecoder']>[0]) {
          let frames = 0;
          super({ ...init, output: (frame) => (++frames === 9 ? frame.close() : init.output(frame)) });
        }
      },
    };
    await expect(decodeFrames(silent, clip, new Set(all(clip)), async () => undefined)).rejects.toMatchObject({
      code: 'media-invalid',
      message: '[video] 30 frames were decoded out of 31 packets (the file is damaged)',
    });
  });

  it('closes every frame, also when the taker fails', async () => {
    const clip = await scanClip(read('clip-h264.mp4'));
    let [opened, closed] = [0, 0];
    const counting = {
      ...codecs!,
      VideoDecoder: class extends codecs!.VideoDecoder {
        constructor(init: ConstructorParameters<WebCodecs['VideoDecoder']>[0]) {
          super({
            ...init,
            output: (frame) => {
              opened++;
              const close = frame.close.bind(frame);
              frame.close = () => (closed++, close());
              init.output(frame);
            },
          });
        }
      },
    };
    await decodeFrames(counting, clip, new Set([5, 28]), async () => undefined);
    expect(opened).toBeGreaterThan(12);
    expect(closed).toBe(opened);
    const failing = decodeFrames(counting, clip, new Set([2]), async () => Promise.reject(new RangeError('a bug')));
    await expect(failing).rejects.toThrow(new RangeError('a bug'));
    expect(closed).toBe(opened);
  });

  it('keeps its memory over 50 clips', { timeout: 60_000 }, async () => {
    const bytes = read('clip-h264-many-keys.mp4');
    const rules = rulesWith({ minPixels: 1_000_000, maxPixels: 2_000_000 });
    const decode = async (times: number) => {
      for (let turn = 0; turn < times; turn++) await decodeClip(bytes, rules);
    };
    // Native memory is freed some turns of the event loop after what holds it was collected.
    const settle = async () => {
      for (let turn = 0; turn < 3; turn++) {
        collectGarbage();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const { rss, arrayBuffers } = process.memoryUsage();
      return { rss, arrayBuffers };
    };
    await decode(15);
    const before = await settle();
    await decode(50);
    const after = await settle();
    // A clip has 3 MB for the model; one that stays is seen at once in the first, a twentieth of each in the second.
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2 ** 20);
    expect(after.rss - before.rss).toBeLessThan(16 * 2 ** 20);
  });
});

function meansOf({ rgb }: Picture): number[] {
  const sums = [0, 0, 0];
  for (const [at, value] of rgb.entries()) sums[at % 3]! += value;
  return sums.map((sum) => sum / (rgb.length / 3));
}

describe('which packets are decoded', () => {
  const packet = (index: number, key = false): ClipPacket => ({ index, key, data: new Uint8Array(0) });
  const closed = [packet(0, true), packet(2), packet(1), packet(3, true), packet(5), packet(4), packet(6, true)];
  const runs = (packets: readonly ClipPacket[], ...wanted: number[]) =>
    [...runsOf(packets, new Set(wanted))].map((run) => run.map(({ index }) => index));

  it('begins at key frames and ends with the last that is wanted', () => {
    expect(runs(closed, 4)).toEqual([[3, 5, 4]]);
    expect(runs(closed, 5)).toEqual([[3, 5]]);
    expect(runs(closed, 0, 6)).toEqual([[0], [6]]);
    expect(runs(closed, 1, 3)).toEqual([[0, 2, 1, 3]]);
    expect(runs(closed)).toEqual([]);
  });

  it('goes back further where frames are shown before the key frame they follow', () => {
    const open = [packet(0, true), packet(1), packet(4, true), packet(2), packet(3), packet(5)];
    expect(runs(open, 3)).toEqual([[0, 1, 4, 2, 3]]);
    expect(runs(open, 5)).toEqual([[0, 1, 4, 2, 3, 5]]);
  });

  it('begins with the first packet, whatever it is', () => {
    expect(runs([packet(0), packet(1), packet(2, true)], 1)).toEqual([[0, 1]]);
  });
});
