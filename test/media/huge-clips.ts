/** Files that say they have more frames than anybody sends, honestly or not. Their frames are empty. */

export const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * at);
  return bytes;
};

export function box(name: string, ...content: Buffer[]): Buffer<ArrayBuffer> {
  const inside = Buffer.concat(content);
  return Buffer.concat([u32(inside.length + 8), Buffer.from(name, 'latin1'), inside]);
}

export interface HugeMp4 {
  /** Frames that have an entry each: of a size, of a time. */
  readonly sizes?: number;
  readonly times?: number;
  /** Frames that one entry declares. */
  readonly declaredSizes?: number;
  readonly declaredTimes?: number;
  readonly declaredOffsets?: number;
  readonly declaredInFragment?: number;
  /** Fragments of one frame. */
  readonly fragments?: number;
  /** The track's number behind its tables. */
  readonly numberLast?: boolean;
}

/** An MP4 with an H.264 track of 64x48 pixels. */
export function hugeMp4(huge: HugeMp4): Buffer<ArrayBuffer> {
  const { sizes = 0, times = 0 } = huge;
  const entries = (count: number, ...entry: number[]) => same(count, u32(...entry));
  const sampleEntry = box('avc1', u32(0, 1, 0, 0, 0, 0, (64 << 16) | 48, 0x480000, 0x480000, 0), Buffer.alloc(38));
  const frames = huge.declaredSizes ?? (sizes || times || 4);
  const tables = box(
    'stbl',
    box('stsd', u32(0, 1), sampleEntry),
    times > 0
      ? box('stts', u32(0, times), entries(times, 1, 10))
      : box('stts', u32(0, 1, huge.declaredTimes ?? frames, 10)),
    ...(huge.declaredOffsets ? [box('ctts', u32(0, 1, huge.declaredOffsets, 5))] : []),
    sizes > 0 ? box('stsz', u32(0, 0, sizes), entries(sizes, 1)) : box('stsz', u32(0, 1, frames)),
    box('stsc', u32(0, 1, 1, frames, 1)),
    box('stco', u32(0, 1, 48)),
  );
  const media = box(
    'mdia',
    box('mdhd', u32(0, 0, 0, 1000, 1000, 0)),
    box('hdlr', u32(0, 0), Buffer.from('vide'), u32(0, 0, 0, 0)),
    box('minf', tables),
  );
  const header = box('tkhd', u32(7, 0, 0, 1, 0, 1000), Buffer.alloc(60));
  const track = box('trak', ...(huge.numberLast ? [media, header] : [header, media]));
  const fragmented = huge.fragments !== undefined || huge.declaredInFragment !== undefined;
  const fragment = (count: number) => box('moof', box('traf', box('tfhd', u32(0, 1)), box('trun', u32(0, count))));
  return Buffer.concat([
    box('ftyp', Buffer.from('isom'), u32(0)),
    box('mdat', Buffer.alloc(64)),
    box('moov', box('mvhd', u32(0, 0, 0, 1000, 1000), Buffer.alloc(80)), track, ...(fragmented ? [box('mvex')] : [])),
    ...(huge.declaredInFragment ? [fragment(huge.declaredInFragment)] : []),
    same(huge.fragments ?? 0, fragment(1)),
  ]);
}

const same = (count: number, part: Buffer) => Buffer.concat(Array<Buffer>(count).fill(part));

function element(id: number[], ...content: Buffer[]): Buffer<ArrayBuffer> {
  const inside = Buffer.concat(content);
  // A length of eight bytes.
  return Buffer.concat([Buffer.from(id), Buffer.of(1, 0, 0, 0), u32(inside.length), inside]);
}

export interface HugeMatroska {
  /** In one cluster, of one frame each. */
  readonly blocks?: number;
  /** Of one block each. */
  readonly clusters?: number;
  /** Blocks of 256 frames. */
  readonly laced?: number;
}

/** A WebM with a VP8 track of 64x48 pixels, 20 frames a second. */
export function hugeMatroska({ blocks = 0, clusters = 0, laced = 0 }: HugeMatroska): Buffer<ArrayBuffer> {
  const number = (value: number) => u32(value);
  const track = element(
    [0xae],
    element([0xd7], number(1)),
    element([0x73, 0xc5], number(1)),
    element([0x83], number(1)),
    element([0x86], Buffer.from('V_VP8')),
    element([0xe0], element([0xb0], number(64)), element([0xba], number(48))),
  );
  // A frame's first byte: no key frame, shown.
  const block = (time: number, ...rest: number[]) =>
    Buffer.of(0xa3, 0x84 + rest.length, 0x81, time >> 8, time & 255, ...rest, 0x11);
  const cluster = (time: number, ...inside: Buffer[]) =>
    element([0x1f, 0x43, 0xb6, 0x75], element([0xe7], number(time)), ...inside);
  const parts: Buffer[] = [same(clusters, cluster(0, block(0, 0x80)))];
  if (laced > 0) parts.push(cluster(0, same(laced, block(0, 0x84, 255))));
  // Times in a cluster have 16 bits.
  const batch = blocks > 100_000 ? blocks : 600;
  for (let from = 0; from < blocks; from += batch) {
    const count = Math.min(batch, blocks - from);
    const inside = Array.from({ length: count }, (_, at) => block((at * 50) % 32_768, 0x80));
    parts.push(cluster(from * 50, Buffer.concat(inside)));
  }
  return Buffer.concat([
    element([0x1a, 0x45, 0xdf, 0xa3], element([0x42, 0x82], Buffer.from('webm'))),
    element(
      [0x18, 0x53, 0x80, 0x67],
      element([0x15, 0x49, 0xa9, 0x66], element([0x2a, 0xd7, 0xb1], number(1_000_000))),
      element([0x16, 0x54, 0xae, 0x6b], track),
      ...parts,
    ),
  ]);
}
