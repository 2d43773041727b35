import { availableParallelism, loadavg } from 'node:os';
import { inflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { decodePicture } from '../../src/media/decode-picture-node.ts';
import type { MediaProcess } from '../../src/media/media-process-node.ts';
import { gifFile, patch, pngChunk, pngFile, scanBomb, unpackedBytes, unpackingChunks } from './hostile-files.ts';
import { canReadMemory, closeProcesses, pictureFile, residentBytes, startProcess } from './media-setup.ts';
import { noise } from './noise.ts';

/** What a picture may take besides what the idle process has. */
const memoryLimit = 256 * 2 ** 20;
/** Two seconds and a little; a process that a busy machine does not let run has four times as much. */
const timeLimitMs = () => (loadavg()[0]! > availableParallelism() ? 10_000 : 2800);

const good = pictureFile('420.jpg');
const cut = (name: string, part: number) => {
  const file = pictureFile(name);
  return file.subarray(0, Math.floor(file.length * part));
};
/** Where a JPEG's frame header begins. */
const frameAt = (file: Buffer) => file.indexOf(Buffer.from([0xff, 0xc0]));
/** Noise in small squares: what codecs find hard, made fast. */
const noisy = (width: number, height: number) => {
  const raw = { width: 64, height: 64, channels: 3 } as const;
  return sharp(noise(64 * 64 * 3, 1), { raw }).resize(width, height, { kernel: 'nearest', fit: 'fill' });
};
const text = (content: string) => Buffer.from(content);
const segment = (marker: number, body: Uint8Array) =>
  Buffer.concat([Buffer.from([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255]), body]);
const withSegment = (marker: number) =>
  Buffer.concat([good.subarray(0, 2), segment(marker, Buffer.alloc(9)), good.subarray(2)]);
const startedWith = (bytes: number[]) =>
  Buffer.concat([good.subarray(0, 2), Buffer.alloc(20 * 2 ** 20, Buffer.from(bytes)), good.subarray(2)]);

/**
 * A large progressive JPEG. Decoders pass over FF 00; who takes it for a segment skips the frame header and comes out in a comment,
 * in which a small picture begins.
 */
async function hiddenFrame(width: number, height: number): Promise<Buffer> {
  const plain = { create: { width, height, channels: 3, background: '#777' } } as const;
  const large = await sharp(plain).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer();
  const whole = (file: Buffer, marker: number) => {
    const at = file.indexOf(Buffer.from([0xff, marker]));
    return file.subarray(at, at + 2 + file.readUInt16BE(at + 2));
  };
  const scan = large.indexOf(Buffer.from([0xff, 0xda]));
  const shown = segment(0xfe, Buffer.concat([whole(good, 0xc0), whole(good, 0xda)]));
  const skipped = Buffer.concat([large.subarray(2, scan), shown.subarray(0, 4)]);
  const rest = Buffer.concat([shown.subarray(4), large.subarray(scan)]);
  return Buffer.concat([large.subarray(0, 2), segment(0x00, skipped), rest]);
}

type File = Buffer | (() => Promise<Buffer>);
const damaged = /the (JPEG|PNG|WebP|GIF) is damaged or ends too early/;

const refused: [string, File, 'media-invalid' | 'media-too-large', RegExp][] = [
  ['nothing', Buffer.alloc(0), 'media-invalid', /it has 0 bytes/],
  [
    'one byte',
    Buffer.from([0xff]),
    'media-invalid',
    /no format that is known here \(JPEG, PNG, WebP and GIF are read\)/,
  ],
  ['the first bytes of a JPEG', good.subarray(0, 20), 'media-invalid', /ends within its header/],
  ['the first bytes of a PNG', pictureFile('rgb.png').subarray(0, 20), 'media-invalid', /ends within its header/],
  ['the first bytes of a WebP', pictureFile('lossy.webp').subarray(0, 20), 'media-invalid', /ends within its header/],
  ['half a JPEG', cut('420.jpg', 0.5), 'media-invalid', damaged],
  ['a JPEG without its last byte', good.subarray(0, -1), 'media-invalid', damaged],
  ['half a progressive JPEG', cut('420-progressive.jpg', 0.5), 'media-invalid', damaged],
  ['half a PNG', cut('rgb.png', 0.5), 'media-invalid', /the PNG ends too early/],
  ['a PNG without an end', pictureFile('rgb.png').subarray(0, -12), 'media-invalid', /the PNG ends too early/],
  ['half a GIF', cut('still.gif', 0.5), 'media-invalid', damaged],
  ['half a WebP', cut('lossy.webp', 0.5), 'media-invalid', damaged],
  ['a JPEG that says it is taller', patch(good, frameAt(good) + 5, 1, 0), 'media-invalid', damaged],
  ['a JPEG that says it is wider', patch(good, frameAt(good) + 7, 2, 0), 'media-invalid', damaged],
  ['a JPEG that says it has no height', patch(good, frameAt(good) + 5, 0, 0), 'media-invalid', /131 x 0 pixels/],
  ['a PNG with too few pixels', pngFile(1000, 1000, Buffer.alloc(1001 * 10)), 'media-invalid', damaged],
  ['a PNG whose data are none', pngFile(64, 64, Buffer.alloc(0)), 'media-invalid', damaged],
  ['a PNG of 0 pixels', pngFile(0, 10, Buffer.alloc(0)), 'media-invalid', /0 x 10 pixels/],
  [
    'a PNG of 40,000 x 40,000',
    pngFile(40_000, 40_000, Buffer.alloc(1000)),
    'media-too-large',
    /40000 x 40000 pixels \(at most 33177600/,
  ],
  [
    'a PNG of 2^31 x 2^31',
    pngFile(2 ** 31 - 1, 2 ** 31 - 1, Buffer.alloc(9)),
    'media-too-large',
    /2147483647 x 2147483647/,
  ],
  ['a GIF of 65,535 x 65,535 and 1,000 frames', gifFile(65_535, 65_535, 1000), 'media-too-large', /65535 x 65535/],
  [
    'a WebP that says it is huge',
    patch(pictureFile('lossy-alpha.webp'), 24, 255, 255, 255, 255, 255, 0),
    'media-too-large',
    /16777216 x 65536/,
  ],
  ['a WebP with two sizes', patch(pictureFile('lossy-alpha.webp'), 24, 200, 1), 'media-invalid', damaged],
  [
    'a picture 201 times longer than wide',
    pngFile(10, 2010, Buffer.alloc(11 * 2010)),
    'media-invalid',
    /absolute aspect ratio must be smaller than 200, got 201.0/,
  ],
  ['a line of 12 million pixels', pngFile(12_000_000, 1, Buffer.alloc(9)), 'media-invalid', /got 12000000.0/],
  [
    'a progressive JPEG of 25 megapixels',
    () => noisy(5000, 5000).jpeg({ progressive: true, chromaSubsampling: '4:4:4', quality: 40 }).toBuffer(),
    'media-too-large',
    /for a file of this kind/,
  ],
  [
    'a progressive JPEG of 33 megapixels that shows its size to decoders only',
    () => hiddenFrame(7680, 4300),
    'media-invalid',
    /a marker between its segments that stands for nothing/,
  ],
  ['a JPEG with a reserved marker', withSegment(0x02), 'media-invalid', /a marker between its segments that stands/],
  ['a JPEG with the last reserved marker', withSegment(0xbf), 'media-invalid', /a marker between its segments that/],
  ['20 MiB of fill bytes', startedWith([0xff]), 'media-invalid', /over 65536 markers before its picture/],
  ['20 MiB of restarts', startedWith([0xff, 0xd0]), 'media-invalid', /over 65536 markers before its picture/],
  ['20 MiB of empty comments', startedWith([0xff, 0xfe, 0, 2]), 'media-invalid', /over 65536 markers before its pict/],
  ['a JPEG of 882 scans', scanBomb(5500, 5500), 'media-invalid', /decoding it took more than 2000 ms/],
  [
    'SVG',
    text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'),
    'media-invalid',
    /it is SVG, HTML or other XML \(JPEG/,
  ],
  ['SVG behind a declaration', text('\ufeff  <?xml version="1.0"?><svg/>'), 'media-invalid', /SVG/],
  ['HTML', text('<!doctype html><p>'), 'media-invalid', /HTML/],
  ['PDF', text('%PDF-1.7\n'), 'media-invalid', /it is PDF/],
  ['TIFF', () => noisy(64, 64).tiff().toBuffer(), 'media-invalid', /it is TIFF/],
  ['AVIF', () => noisy(64, 64).avif({ effort: 0 }).toBuffer(), 'media-invalid', /it is AVIF/],
  ['BMP', text('BM\x9a\x0e'), 'media-invalid', /it is BMP/],
  ['JPEG 2000', Buffer.from('0000000c6a5020200d0a870a', 'hex'), 'media-invalid', /it is JPEG 2000/],
  ['a video', Buffer.from('000000206674797069736f6d', 'hex'), 'media-invalid', /HEIF or a video/],
  ['text', text('a picture of a cat'), 'media-invalid', /no format that is known/],
];

const read: [string, File, [number, number]][] = [
  [
    'a PNG whose texts and profile unpack to 600 MB',
    () => Promise.resolve(pngFile(64, 64, Buffer.alloc(65 * 64), unpackingChunks())),
    [64, 64],
  ],
  ['a PNG with more data than pixels', pngFile(64, 64, Buffer.alloc(65 * 64 + 100_000_000)), [64, 64]],
  [
    'a PNG with a text of two million bytes',
    pngFile(64, 64, Buffer.alloc(65 * 64), [pngChunk('tEXt', Buffer.alloc(2_000_000, 65))]),
    [64, 64],
  ],
  ['a GIF of 2,000 x 2,000 and 1,000 frames', gifFile(2000, 2000, 1000), [1120, 1120]],
  ['an animated GIF', pictureFile('animated.gif'), [128, 96]],
  ['a CMYK JPEG', pictureFile('cmyk.jpg'), [128, 96]],
  ['a JPEG with bytes behind its end', Buffer.concat([good, Buffer.alloc(100_000, 7)]), [128, 96]],
  ['a picture 200 times longer than wide', pngFile(10, 2000, Buffer.alloc(11 * 2000)), [32, 928]],
  ['a JPEG of 33 megapixels', () => noisy(7680, 4320).jpeg({ quality: 30 }).toBuffer(), [1504, 832]],
];

describe('pictures that strangers send', () => {
  let decoder: MediaProcess;
  let idle = 0;

  /** An idle process, for comparison. */
  async function settle(): Promise<void> {
    await decoder.encode({ kind: 'image', bytes: good });
    idle = residentBytes(decoder.pids[0]!)?.now ?? 0;
  }
  beforeAll(async () => {
    decoder = startProcess();
    await settle();
  });
  afterAll(closeProcesses);

  /** Encodes a file and checks what it took. */
  async function encode(bytes: Buffer) {
    const pid = decoder.pids[0]!;
    let peak = 0;
    const look = setInterval(() => (peak = Math.max(peak, residentBytes(pid)?.peak ?? 0)), 10);
    const started = performance.now();
    const [outcome] = await Promise.allSettled([decoder.encode({ kind: 'image', bytes })]);
    const took = performance.now() - started;
    clearInterval(look);
    peak = Math.max(peak, residentBytes(pid)?.peak ?? 0);
    expect(took).toBeLessThan(timeLimitMs());
    if (canReadMemory) expect(peak - idle).toBeLessThan(memoryLimit);
    else console.warn('skipped: the memory of a process is read on Linux only');
    // Whatever it was, the next one is read.
    const next = await decoder.encode({ kind: 'image', bytes: good });
    expect(next).toMatchObject({ kind: 'image', frames: 1, height: 96, width: 128 });
    if (decoder.pids[0] !== pid) await settle();
    return outcome;
  }

  test.each(refused)('%s: a named error', async (_, file, code, message) => {
    const outcome = await encode(typeof file === 'function' ? await file() : file);
    expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'WgrankError', code } });
    const said = (outcome as PromiseRejectedResult).reason as Error;
    expect(said.message).toMatch(message);
    expect(said.message).toMatch(/^\[picture\] /);
    expect(said.message).not.toMatch(/vips|libpng|\/|\n/i);
  });

  test.each(read)('%s is read', async (_, file, [width, height]) => {
    const outcome = await encode(typeof file === 'function' ? await file() : file);
    if (outcome!.status === 'rejected') throw outcome!.reason;
    expect(outcome!.value).toMatchObject({ kind: 'image', frames: 1, width, height });
  });

  test('the scan bomb is a picture that a decoder would read, given time', async () => {
    const picture = await decodePicture(scanBomb(800, 800), { applyExif: false });
    expect(picture).toMatchObject({ width: 800, height: 800 });
  });

  test('the chunks of the PNG bomb do unpack', () => {
    const [profile] = unpackingChunks();
    expect(profile!.length).toBeLessThan(200_000);
    expect(inflateSync(profile!.subarray(8 + 6, -4)).length).toBe(unpackedBytes);
  });
});
