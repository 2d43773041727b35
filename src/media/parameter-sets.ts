import { BitReader } from './bit-reader.ts';

/** Pixels of a frame as a bitstream states them. */
export interface CodedSize {
  readonly width: number;
  readonly height: number;
}

export type NalCodec = 'avc' | 'hevc';

/** A NAL unit that holds a sequence parameter set, and its header's bytes. */
const sets: Readonly<Record<NalCodec, { readonly type: number; readonly header: number }>> = {
  avc: { type: 7, header: 1 },
  hevc: { type: 33, header: 2 },
};

/**
 * Whether a decoder reads a description as the record that it should be, and not as a stretch of units behind start codes.
 * source: FFmpeg's ff_h264_decode_extradata and ff_hevc_decode_extradata
 */
export function isSetRecord(codec: NalCodec, description: Uint8Array): boolean {
  const [first = 0, second = 0, third = 0] = description;
  if (codec === 'avc') return description.length >= 7 && first === 1;
  // Files from before the standard begin with 0.
  return description.length >= 23 && (first === 1 || (first === 0 && (second > 0 || third > 1)));
}

/**
 * Sizes in the sequence parameter sets of H.264 and HEVC, of the file's description and in between frames: either can stand
 * where a container's header says something else. FFmpeg changes its mind about how units are told apart, so that they are looked
 * for wherever it may find them: behind lengths, behind start codes, and behind start codes in what has a length.
 * @param description as in the container, or undefined where units are marked by start codes
 */
export function* parameterSetSizes(
  codec: NalCodec,
  description: Uint8Array | undefined,
  packets: Iterable<Uint8Array>,
): Generator<CodedSize> {
  const { type, header } = sets[codec];
  const isSet = (unit: Uint8Array) => (codec === 'avc' ? unit[0]! & 0x1f : (unit[0]! >> 1) & 0x3f) === type;
  const readSize = codec === 'avc' ? readAvcSize : readHevcSize;
  function* sizesIn(units: Iterable<Uint8Array>): Generator<CodedSize> {
    for (const unit of units) {
      if (unit.length <= header || !isSet(unit)) continue;
      const escaped = unit.subarray(header, header + maxSetBytes);
      const plain = unescape(escaped);
      yield readSize(new BitReader(plain));
      // A set of H.264 that makes no sense is read again as it stands.
      if (codec === 'avc' && plain.length < escaped.length) yield readSize(new BitReader(escaped));
    }
  }
  function* sizesInAndBelow(units: Iterable<Uint8Array>): Generator<CodedSize> {
    for (const unit of units) {
      yield* sizesIn([unit]);
      yield* sizesIn(markedUnits(unit));
    }
  }
  if (description) yield* sizesInAndBelow(codec === 'avc' ? avcUnits(description) : hevcUnits(description));
  const lengthBytes = description && (description[codec === 'avc' ? 4 : 21]! & 3) + 1;
  for (const packet of packets) {
    const whole = isWhole(packet, lengthBytes ?? 4);
    if (lengthBytes || whole) yield* sizesInAndBelow(prefixedUnits(packet, lengthBytes ?? 4));
    // In a whole one, 0 0 1 can be a length.
    if (!lengthBytes || !whole) yield* sizesIn(markedUnits(packet));
    if (codec === 'avc' && isAvcRecord(packet)) yield* sizesInAndBelow(avcUnits(packet));
  }
}

/** Whether a packet's lengths add up, and the first is none that FFmpeg would take for a start code. */
function isWhole(packet: Uint8Array, lengthBytes: number): boolean {
  let at = 0;
  while (at + lengthBytes <= packet.length) at += lengthBytes + lengthAt(packet, at, lengthBytes);
  return at === packet.length && at > 0 && lengthAt(packet, 0, lengthBytes) > 1;
}

function lengthAt(packet: Uint8Array, at: number, lengthBytes: number): number {
  let length = 0;
  for (let byte = 0; byte < lengthBytes; byte++) length = length * 256 + packet[at + byte]!;
  return length;
}

/** Whether FFmpeg would ask itself if a packet is a description: one in between frames replaces the first. */
const isAvcRecord = (packet: Uint8Array): boolean =>
  packet.length >= 9 && packet[0] === 1 && packet[2] === 0 && (packet[4]! & 0xfc) === 0xfc;

/**
 * source: ISO/IEC 14496-15, 5.3.3.1: behind five bytes a count and sequence sets with their lengths, then the same of picture sets;
 * FFmpeg takes either kind in either place.
 */
function* avcUnits(record: Uint8Array): Generator<Uint8Array> {
  let at = 5;
  for (const mask of [0x1f, 0xff]) {
    const count = (record[at++] ?? 0) & mask;
    for (let set = 0; set < count && at + 2 <= record.length; set++) {
      const length = (record[at]! << 8) | record[at + 1]!;
      yield record.subarray(at + 2, at + 2 + length);
      at += 2 + length;
    }
  }
}

/** source: ISO/IEC 14496-15, 8.3.3.1: arrays behind 23 bytes, each of a type, a count and units with their lengths. */
function* hevcUnits(record: Uint8Array): Generator<Uint8Array> {
  const arrays = record[22] ?? 0;
  for (let at = 23, array = 0; array < arrays && at + 3 <= record.length; array++) {
    const count = (record[at + 1]! << 8) | record[at + 2]!;
    at += 3;
    for (let unit = 0; unit < count && at + 2 <= record.length; unit++) {
      const length = (record[at]! << 8) | record[at + 1]!;
      yield record.subarray(at + 2, at + 2 + length);
      at += 2 + length;
    }
  }
}

function* prefixedUnits(packet: Uint8Array, lengthBytes: number): Generator<Uint8Array> {
  for (let at = 0; at + lengthBytes <= packet.length;) {
    const length = lengthAt(packet, at, lengthBytes);
    yield packet.subarray(at + lengthBytes, at + lengthBytes + length);
    at += lengthBytes + length;
  }
}

/** Units behind 0 0 1. What follows a set is read along and does no harm. */
function* markedUnits(packet: Uint8Array): Generator<Uint8Array> {
  for (let at = packet.indexOf(1); at >= 0; at = packet.indexOf(1, at + 1))
    if (at >= 2 && packet[at - 1] === 0 && packet[at - 2] === 0) yield packet.subarray(at + 1, at + 1 + maxSetBytes);
}

/** Parameter sets are read up to here; sizes stand at their beginning. */
const maxSetBytes = 4096;

/** Takes out the 3 that keeps 0 0 x from looking like a start code. */
function unescape(unit: Uint8Array): Uint8Array {
  const bytes: number[] = [];
  let zeros = 0;
  for (const byte of unit.subarray(0, maxSetBytes)) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Profiles whose sets tell the form of chroma. */
const chromaProfiles = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

/** source: ITU-T H.264, 7.3.2.1.1 */
function readAvcSize(set: BitReader): CodedSize {
  const profile = set.bits(8);
  set.skip(16);
  set.unsigned();
  if (chromaProfiles.has(profile)) skipAvcChroma(set);
  set.unsigned();
  const order = set.unsigned();
  if (order === 0) set.unsigned();
  else if (order === 1) {
    set.skip(1);
    set.signed();
    set.signed();
    const offsets = Math.min(set.unsigned(), 255);
    for (let offset = 0; offset < offsets; offset++) set.signed();
  }
  set.unsigned();
  set.skip(1);
  const width = (set.unsigned() + 1) * 16;
  const units = set.unsigned() + 1;
  return { width, height: units * (set.flag() ? 16 : 32) };
}

function skipAvcChroma(set: BitReader): void {
  const chroma = set.unsigned();
  if (chroma === 3) set.skip(1);
  set.unsigned();
  set.unsigned();
  set.skip(1);
  if (!set.flag()) return;
  for (let list = 0; list < (chroma === 3 ? 12 : 8); list++) if (set.flag()) skipScalingList(set, list < 6 ? 16 : 64);
}

function skipScalingList(set: BitReader, length: number): void {
  let scale = 8;
  for (let entry = 0; entry < length; entry++) {
    const next = (scale + set.signed() + 256) % 256;
    if (next === 0) return;
    scale = next;
  }
}

/** source: ITU-T H.265, 7.3.2.2.1 and 7.3.3 */
function readHevcSize(set: BitReader): CodedSize {
  set.skip(4);
  const layers = set.bits(3);
  set.skip(1 + 96);
  const present = Array.from({ length: layers }, () => [set.flag(), set.flag()] as const);
  if (layers > 0) set.skip(2 * (8 - layers));
  for (const [profile, level] of present) set.skip((profile ? 88 : 0) + (level ? 8 : 0));
  set.unsigned();
  if (set.unsigned() === 3) set.skip(1);
  return { width: set.unsigned(), height: set.unsigned() };
}
