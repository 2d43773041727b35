import { deflateSync } from 'node:zlib';

/** Pictures that try to break a decoder, made of bytes. */

const ascii = (text: string) => Buffer.from(text, 'latin1');
const uint16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const little = (value: number) => Buffer.from([value & 255, value >> 8]);
const uint32 = (value: number) => Buffer.concat([uint16(value >>> 16), uint16(value & 0xffff)]);

/** The checksum of PNG chunks. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

export function pngChunk(type: string, body: Uint8Array): Buffer {
  const checked = Buffer.concat([ascii(type), body]);
  return Buffer.concat([uint32(body.length), checked, uint32(crc32(checked))]);
}

/** A grey PNG of 8 bits. `pixels`: what its data unpacks to; `extra`: chunks before them. */
export function pngFile(width: number, height: number, pixels: Uint8Array, extra: readonly Buffer[] = []): Buffer {
  const header = pngChunk('IHDR', Buffer.concat([uint32(width), uint32(height), Buffer.from([8, 0, 0, 0, 0])]));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const body = [pngChunk('IDAT', deflateSync(pixels)), pngChunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, header, ...extra, ...body]);
}

/** Bytes that each of `unpackingChunks` unpacks to. */
export const unpackedBytes = 100_000_000;

/** A colour profile and texts of 100 kilobytes each, which unpack to a thousand times as much. */
export function unpackingChunks(): Buffer[] {
  const packed = deflateSync(Buffer.alloc(unpackedBytes), { level: 9 });
  const head = ascii('bomb\0\0');
  return [
    pngChunk('iCCP', Buffer.concat([head, packed])),
    ...Array.from({ length: 4 }, () => pngChunk('zTXt', Buffer.concat([head, packed]))),
    pngChunk('iTXt', Buffer.concat([ascii('bomb\0\u0001\0\0\0'), packed])),
  ];
}

/** A GIF of frames with one pixel each. */
export function gifFile(width: number, height: number, frames: number): Buffer {
  const palette = Buffer.from([0, 0, 0, 255, 255, 255]);
  const screen = Buffer.concat([ascii('GIF89a'), little(width), little(height), Buffer.from([0x80, 0, 0]), palette]);
  const frame = Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0]);
  return Buffer.concat([screen, ...Array.from({ length: frames }, () => frame), Buffer.from([0x3b])]);
}

const jpegSegment = (marker: number, body: Buffer) =>
  Buffer.concat([Buffer.from([0xff, marker]), uint16(body.length + 2), body]);

/**
 * A grey progressive JPEG in which every coefficient comes bit by bit in a scan of its own: 63 x 14 scans of a few bytes, each
 * of which walks through the whole picture.
 */
export function scanBomb(width: number, height: number): Buffer {
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const quantities = jpegSegment(0xdb, Buffer.concat([Buffer.from([0]), Buffer.alloc(64, 1)]));
  const frame = jpegSegment(
    0xc2,
    Buffer.concat([Buffer.from([8]), uint16(height), uint16(width), Buffer.from([1, 1, 0x11, 0])]),
  );
  // One code of one bit each: no difference for the first coefficients, a run of 2^14 empty blocks for the others.
  const code = (table: number, symbol: number) =>
    jpegSegment(0xc4, Buffer.concat([Buffer.from([table, 1]), Buffer.alloc(15), Buffer.from([symbol])]));
  const scan = (first: number, last: number, high: number, low: number, data: Buffer) =>
    Buffer.concat([jpegSegment(0xda, Buffer.from([1, 1, 0, first, last, (high << 4) | low])), data]);
  // A run takes 15 bits: the code and 14 zeros that say 2^14 + 0 blocks.
  const runs = Buffer.alloc(Math.ceil((Math.ceil(blocks / 2 ** 14) * 15) / 8));
  const scans = [scan(0, 0, 0, 0, Buffer.alloc(Math.ceil(blocks / 8)))];
  for (let at = 1; at < 64; at += 1)
    for (let low = 13; low >= 0; low -= 1) scans.push(scan(at, at, low === 13 ? 0 : low + 1, low, runs));
  const codes = [code(0x00, 0), code(0x10, 0xe0)];
  return Buffer.concat([Buffer.from([0xff, 0xd8]), quantities, frame, ...codes, ...scans, Buffer.from([0xff, 0xd9])]);
}

/** The same bytes with some of them changed. */
export function patch(bytes: Uint8Array, at: number, ...values: readonly number[]): Buffer {
  const patched = Buffer.from(bytes);
  patched.set(values, at);
  return patched;
}
