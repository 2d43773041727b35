import { BitReader } from './bit-reader.ts';
import type { CodedSize } from './parameter-sets.ts';

/** The size in a VP8 key frame. source: RFC 6386, 9.1 */
export function* vp8Sizes(packet: Uint8Array): Generator<CodedSize> {
  if (packet.length < 10 || (packet[0]! & 1) === 1) return;
  const side = (at: number) => (packet[at]! | (packet[at + 1]! << 8)) & 0x3fff;
  yield { width: side(6), height: side(8) };
}

/** The sizes of a VP9 packet's frames, of which several can lie in one. source: VP9 bitstream specification 0.6, 6.2 and annex B */
export function* vp9Sizes(packet: Uint8Array): Generator<CodedSize> {
  for (const frame of vp9Frames(packet)) {
    const size = readVp9Size(new BitReader(frame));
    if (size) yield size;
  }
}

/** Marked by its last byte, an index of sizes stands at the end. */
function* vp9Frames(packet: Uint8Array): Generator<Uint8Array> {
  const marker = packet.at(-1) ?? 0;
  const sizeBytes = ((marker >> 3) & 3) + 1;
  const frames = (marker & 7) + 1;
  const index = packet.length - 2 - sizeBytes * frames;
  if (marker >> 5 !== 6 || index < 0 || packet[index] !== marker) return yield packet;
  for (let frame = 0, start = 0; frame < frames; frame++) {
    let size = 0;
    for (let byte = sizeBytes - 1; byte >= 0; byte--) size = size * 256 + packet[index + 1 + frame * sizeBytes + byte]!;
    yield packet.subarray(start, start + size);
    start += size;
  }
}

/** @returns undefined for frames that take over the size of another */
function readVp9Size(frame: BitReader): CodedSize | undefined {
  frame.skip(2);
  const profile = frame.bits(1) + 2 * frame.bits(1);
  if (profile === 3) frame.skip(1);
  if (frame.flag()) return undefined;
  const isKey = !frame.flag();
  const isShown = frame.flag();
  const isResilient = frame.flag();
  if (isKey) {
    frame.skip(24);
    skipVp9Colours(frame, profile);
    return readSides(frame, 16, 16);
  }
  const isIntra = !isShown && frame.flag();
  if (!isResilient) frame.skip(2);
  if (isIntra) {
    frame.skip(24);
    if (profile > 0) skipVp9Colours(frame, profile);
    frame.skip(8);
    return readSides(frame, 16, 16);
  }
  frame.skip(8 + 3 * 4);
  for (let reference = 0; reference < 3; reference++) if (frame.flag()) return undefined;
  return readSides(frame, 16, 16);
}

function skipVp9Colours(frame: BitReader, profile: number): void {
  if (profile >= 2) frame.skip(1);
  const isRgb = frame.bits(3) === 7;
  if (!isRgb) frame.skip(1);
  if (profile === 1 || profile === 3) frame.skip(isRgb ? 1 : 3);
}

/** Largest sizes in the sequence headers of AV1. source: AV1 bitstream specification, 5.3 to 5.5 */
export function* av1Sizes(units: Uint8Array): Generator<CodedSize> {
  for (let at = 0; at < units.length;) {
    const header = units[at]!;
    at += header & 4 ? 2 : 1;
    let size = units.length - at;
    if (header & 2) {
      size = 0;
      // Seven bits a byte, the last without the top bit.
      for (let byte = 0, more = true; more && byte < 8; byte++, at++) {
        size += ((units[at] ?? 0) & 0x7f) * 2 ** (7 * byte);
        more = ((units[at] ?? 0) & 0x80) !== 0;
      }
    }
    if (((header >> 3) & 15) === 1) yield readAv1Size(new BitReader(units.subarray(at, at + size)));
    at += size;
  }
}

function readAv1Size(sequence: BitReader): CodedSize {
  sequence.skip(4);
  if (sequence.flag()) sequence.skip(5);
  else skipAv1Operation(sequence);
  const widthBits = sequence.bits(4) + 1;
  return readSides(sequence, widthBits, sequence.bits(4) + 1);
}

function skipAv1Operation(sequence: BitReader): void {
  let delayBits = 0;
  if (sequence.flag()) {
    sequence.skip(64);
    if (sequence.flag()) sequence.unsigned();
    if (sequence.flag()) {
      delayBits = sequence.bits(5) + 1;
      sequence.skip(42);
    }
  }
  const hasDelay = sequence.flag();
  const points = sequence.bits(5) + 1;
  for (let point = 0; point < points; point++) {
    sequence.skip(12);
    if (sequence.bits(5) > 7) sequence.skip(1);
    if (delayBits > 0 && sequence.flag()) sequence.skip(2 * delayBits + 1);
    if (hasDelay && sequence.flag()) sequence.skip(4);
  }
}

function readSides(header: BitReader, widthBits: number, heightBits: number): CodedSize {
  const width = header.bits(widthBits) + 1;
  return { width, height: header.bits(heightBits) + 1 };
}
