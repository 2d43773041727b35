import { invalidClip } from './clip.ts';

export interface Mp4Frames {
  /** The largest count that any table of a video track declares, fragments included. */
  readonly most: number;
  /** Frames whose sizes the file lists, where it has one video track. */
  readonly listed: number;
}

/**
 * Frames that an MP4 or QuickTime file says it has. Read before a demuxer unfolds the tables, because 16 bytes can declare four
 * billion frames. What would lead a demuxer to tables that are not seen here is refused.
 * source: ISO/IEC 14496-12
 * @throws WgrankError `media-invalid`
 */
export function countMp4Frames(bytes: Uint8Array): Mp4Frames {
  const scan = new BoxScan(bytes);
  scan.boxes(0, bytes.length, 0);
  return scan.result();
}

/** Boxes in which a demuxer looks for boxes, wherever they lie. */
const parents = new Set('moov trak mdia minf dinf stbl edts sinf schi mvex moof traf mfra udta meta'.split(' '));
/** Tables lie in five boxes. */
const maxDepth = 16;
const tables = new Set(['stsd', 'stsz', 'stz2', 'stts', 'ctts', 'trun']);
/** What a description of samples has no reason to hold: behind them a demuxer would find another track or table. */
const strays = new Set(['trak', 'mdia', 'minf', 'stbl', 'tkhd', 'hdlr', 'moof', 'traf']);

/** What lies in a `trak` or `traf`. */
class TrackFacts {
  /** Numbers that it gives itself, or that it belongs to: one, in honest files. */
  readonly ids = new Set<number>();
  isVideo = false;
  /** By table, as the same one can come more than once. */
  readonly counts = { sizes: 0, times: 0, offsets: 0, run: 0 };
}

class BoxScan {
  readonly #view: DataView;
  #open = new TrackFacts();
  readonly #tracks: TrackFacts[] = [];
  readonly #runs = new Map<number, number>();

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  result(): Mp4Frames {
    const videos = this.#tracks.filter(({ isVideo }) => isVideo);
    let most = 0;
    for (const { ids, counts } of videos) {
      let inFragments = 0;
      for (const id of ids) inFragments += this.#runs.get(id) ?? 0;
      most = Math.max(most, Math.max(counts.sizes, counts.times, counts.offsets) + inFragments);
    }
    return { most, listed: videos.length === 1 ? videos[0]!.counts.sizes : 0 };
  }

  /** @param end may lie behind the file's, which can be cut off */
  boxes(start: number, end: number, depth: number): void {
    for (let at = start; at + 8 <= Math.min(end, this.#view.byteLength);) {
      let size = this.#view.getUint32(at);
      let header = 8;
      // 1: the size stands behind the name, in 64 bits. 0: to the end.
      if (size === 1 && at + 16 <= this.#view.byteLength) {
        size = this.#view.getUint32(at + 8) * 2 ** 32 + this.#view.getUint32(at + 12);
        header = 16;
      } else if (size === 0) size = end - at;
      if (size < header) return;
      const name = this.#name(at + 4);
      // A demuxer would read it to its own end.
      if (depth > 0 && at + size > end && (parents.has(name) || tables.has(name)))
        throw invalidClip('a box is longer than the one that it lies in (the file is damaged)');
      this.#box(name, at + header, at + size, depth);
      at += size;
    }
  }

  #box(name: string, start: number, end: number, depth: number): void {
    if (!parents.has(name)) return this.#leaf(name, start, end);
    if (depth === maxDepth) throw invalidClip(`boxes lie in ${maxDepth} others (the file is damaged)`);
    const outer = this.#open;
    if (name === 'trak' || name === 'traf') this.#open = new TrackFacts();
    // Some have four bytes of a version in front.
    const isVersioned = name === 'meta' && this.#read(start) === 0;
    this.boxes(isVersioned ? start + 4 : start, end, depth + 1);
    if (name === 'trak') this.#tracks.push(this.#open);
    if (name === 'traf')
      for (const id of this.#open.ids) this.#runs.set(id, (this.#runs.get(id) ?? 0) + this.#open.counts.run);
    this.#open = outer;
  }

  #leaf(name: string, start: number, end: number): void {
    const read = (offset: number) => this.#read(start + offset);
    const { ids, counts } = this.#open;
    // Version 1 has two times of 64 bits in front of the number.
    if (name === 'tkhd') ids.add(read(read(0) >>> 24 === 1 ? 20 : 12));
    else if (name === 'tfhd') ids.add(read(4));
    else if (name === 'hdlr') this.#open.isVideo ||= this.#name(start + 8) === 'vide';
    else if (name === 'stsz' || name === 'stz2') counts.sizes += read(8);
    else if (name === 'stts') counts.times += this.#sumCounts(start + 8, end, read(4));
    else if (name === 'ctts') counts.offsets += this.#sumCounts(start + 8, end, read(4));
    else if (name === 'trun') counts.run += read(4);
    else if (name === 'stsd') this.#checkDescriptions(start, end);
  }

  /** Pairs of a count and a value. */
  #sumCounts(start: number, end: number, entries: number): number {
    // A demuxer would read on behind the box.
    if (start + 8 * entries > Math.min(end, this.#view.byteLength))
      throw invalidClip('a table says that it is longer than its box (the file is damaged)');
    let sum = 0;
    for (let at = 0; at < entries; at++) sum += this.#view.getUint32(start + at * 8);
    return sum;
  }

  #checkDescriptions(start: number, end: number): void {
    for (let at = start; at + 4 <= Math.min(end, this.#view.byteLength); at++)
      if (this.#view.getUint8(at + 1) >= 0x61 && strays.has(this.#name(at)))
        throw invalidClip('a track lies in the description of another (the file is damaged)');
  }

  /** Zero behind the end. */
  #read(at: number): number {
    return at + 4 <= this.#view.byteLength ? this.#view.getUint32(at) : 0;
  }

  #name(at: number): string {
    if (at + 4 > this.#view.byteLength) return '';
    return String.fromCharCode(...[0, 1, 2, 3].map((offset) => this.#view.getUint8(at + offset)));
  }
}
