/**
 * Blocks of a Matroska or WebM file, of all tracks, with the frames that are laced into one. Read before a demuxer makes an object
 * of each.
 * @param most where counting may stop
 * source: RFC 8794 (EBML), RFC 9559 (Matroska)
 */
export function countMatroskaBlocks(bytes: Uint8Array, most: number): number {
  let blocks = 0;
  for (let at = 0; at < bytes.length && blocks <= most;) {
    const id = readNumber(bytes, at, 'keep the length bit');
    const size = id && readNumber(bytes, at + id.length, 'drop the length bit');
    if (!id || !size) break;
    const start = at + id.length + size.length;
    if (id.value === simpleBlock || id.value === block) blocks += framesOfBlock(bytes, start);
    // Inside a parent the next element begins at once; so parents of unknown length need no care.
    at = parents.has(id.value) ? start : start + size.value;
  }
  return blocks;
}

const simpleBlock = 0xa3;
const block = 0xa1;
/** Segment, Cluster, BlockGroup. */
const parents = new Set([0x18538067, 0x1f43b675, 0xa0]);

/** A block begins with its track, a time of 16 bits and flags; laced ones go on with their count less one. */
function framesOfBlock(bytes: Uint8Array, start: number): number {
  const track = readNumber(bytes, start, 'drop the length bit');
  if (!track) return 1;
  const flags = bytes[start + track.length + 2] ?? 0;
  return (flags & 0x06) === 0 ? 1 : (bytes[start + track.length + 3] ?? 0) + 1;
}

/** A number whose leading zero bits tell its bytes. */
function readNumber(
  bytes: Uint8Array,
  at: number,
  lengthBit: 'keep the length bit' | 'drop the length bit',
): { value: number; length: number } | undefined {
  const first = bytes[at];
  if (first === undefined || first === 0) return undefined;
  const length = Math.clz32(first) - 23;
  if (at + length > bytes.length) return undefined;
  let value = lengthBit === 'keep the length bit' ? first : first & (0xff >> length);
  for (let byte = 1; byte < length; byte++) value = value * 256 + bytes[at + byte]!;
  return { value, length };
}
