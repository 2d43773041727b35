export interface Mp4Frames {
  /** The largest count that any table of a video track declares, fragments included. */
  readonly most: number;
  /** Frames whose sizes the file lists, where it has one video track. */
  readonly listed: number;
}

/**
 * Frames that an MP4 or QuickTime file says it has. Read before a demuxer unfolds the tables, because 16 bytes can declare four
 * billion frames.
 * source: ISO/IEC 14496-12
 */
export function countMp4Frames(bytes: Uint8Array): Mp4Frames {
  const scan = new BoxScan(bytes);
  scan.boxes(0, bytes.length, 0);
  return scan.result();
}

/** Boxes that hold boxes on the way to the tables, and how deep the tables can lie. */
const parents = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl', 'moof', 'traf']);
const maxDepth = 5;

class BoxScan {
  readonly #view: DataView;
  /** Of the track or track fragment that is being read. */
  #track = 0;
  #trackFrames = 0;
  readonly #videoTracks = new Set<number>();
  readonly #framesByTrack = new Map<number, number>();
  readonly #listedByTrack = new Map<number, number>();

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  result(): Mp4Frames {
    let [most, listed] = [0, 0];
    for (const track of this.#videoTracks) {
      most = Math.max(most, this.#framesByTrack.get(track) ?? 0);
      listed += this.#listedByTrack.get(track) ?? 0;
    }
    return { most, listed: this.#videoTracks.size === 1 ? listed : 0 };
  }

  boxes(start: number, end: number, depth: number): void {
    for (let at = start; at + 8 <= end;) {
      let size = this.#view.getUint32(at);
      let header = 8;
      // 1: the size stands behind the name, in 64 bits. 0: to the end.
      if (size === 1 && at + 16 <= end) {
        size = this.#view.getUint32(at + 8) * 2 ** 32 + this.#view.getUint32(at + 12);
        header = 16;
      } else if (size === 0) size = end - at;
      if (size < header) return;
      const next = Math.min(at + size, end);
      this.#box(this.#name(at + 4), at + header, next, depth);
      at = next;
    }
  }

  #box(name: string, start: number, end: number, depth: number): void {
    if (name === 'trak' || name === 'traf') [this.#track, this.#trackFrames] = [0, 0];
    if (parents.has(name) && depth < maxDepth) this.boxes(start, end, depth + 1);
    else this.#leaf(name, start, end);
    if (name === 'trak') this.#add(this.#trackFrames);
  }

  #leaf(name: string, start: number, end: number): void {
    const read = (offset: number) => (start + offset + 4 <= end ? this.#view.getUint32(start + offset) : 0);
    const most = (count: number) => (this.#trackFrames = Math.max(this.#trackFrames, count));
    // Version 1 has two times of 64 bits in front of the number.
    if (name === 'tkhd') this.#track = read(read(0) >>> 24 === 1 ? 20 : 12);
    else if (name === 'tfhd') this.#track = read(4);
    else if (name === 'hdlr' && this.#name(start + 8) === 'vide') this.#videoTracks.add(this.#track);
    else if (name === 'stsz' || name === 'stz2') this.#listedByTrack.set(this.#track, most(read(8)));
    else if (name === 'stts' || name === 'ctts') most(this.#sumCounts(start + 8, end, read(4)));
    else if (name === 'trun') this.#add(read(4));
  }

  /** Pairs of a count and a value. */
  #sumCounts(start: number, end: number, entries: number): number {
    const held = Math.min(entries, Math.floor((end - start) / 8));
    let sum = 0;
    for (let at = 0; at < held; at++) sum += this.#view.getUint32(start + at * 8);
    return sum;
  }

  #add(frames: number): void {
    this.#framesByTrack.set(this.#track, (this.#framesByTrack.get(this.#track) ?? 0) + frames);
  }

  #name(at: number): string {
    if (at + 4 > this.#view.byteLength) return '';
    return String.fromCharCode(...[0, 1, 2, 3].map((offset) => this.#view.getUint8(at + offset)));
  }
}
