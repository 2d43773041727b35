import { byteUnits, unitOfByte } from './byte-level.ts';
import { pieceId } from './piece-trie.ts';
import type { PieceTrieTables } from './piece-trie.ts';

/** A byte-level BPE vocabulary in shared memory. */
export interface BpeTables {
  readonly trie: PieceTrieTables;
  /** Pieces of the vocabulary. */
  readonly pieceCount: number;
  /** Id of the piece of each byte. */
  readonly byteIds: Int32Array;
  /** Hash table with linear probing, three words a merge: left id + 1 (0: free), right id, rank. */
  readonly merges: Int32Array;
  /** Id of the joined piece per rank. */
  readonly mergedIds: Int32Array;
  /** A word that is a piece is never cut, even if no merges lead to it. */
  readonly ignoreMerges: boolean;
}

/** Words of a slot of `BpeTables.merges`. */
export const mergeWords = 3;

export function hashPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

/** Ranks and places share a double in the heap: `rank · 2^31 + place`, below 2^53. */
const placeSpan = 2 ** 31;
/** Words up to this length reuse the same scratch arrays. */
const scratchUnits = 4096;
/** Ids of words up to this length are remembered. */
const cachedUnits = 32;
const cachedWords = 16_384;

interface Scratch {
  readonly ids: Int32Array;
  /** Neighbours among the symbols that are left; a place that was merged into its left neighbour has id −1. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
}

function scratchFor(units: number): Scratch {
  return { ids: new Int32Array(units), next: new Int32Array(units), previous: new Int32Array(units) };
}

/** Cuts byte-level words by merges, lowest rank first. One instance is used by one thread. */
export class BpeModel {
  readonly tables: BpeTables;
  readonly #idOfUnit = new Int32Array(byteUnits);
  readonly #scratch = scratchFor(scratchUnits);
  readonly #heap = new MinHeap();
  readonly #known = new Map<string, readonly number[]>();

  constructor(tables: BpeTables) {
    this.tables = tables;
    unitOfByte.forEach((unit, byte) => {
      this.#idOfUnit[unit] = tables.byteIds[byte]!;
    });
  }

  /**
   * Appends the ids of a word; n·log n in its length.
   * @param word bytes as characters, see `toByteLevel`
   */
  appendIds(word: string, ids: number[]): void {
    const known = word.length <= cachedUnits ? this.#known.get(word) : undefined;
    if (known !== undefined) {
      for (const id of known) ids.push(id);
      return;
    }
    const first = ids.length;
    const whole = this.tables.ignoreMerges ? pieceId(this.tables.trie, word) : -1;
    if (whole >= 0) ids.push(whole);
    else {
      const scratch = this.#merge(word);
      for (let at = 0; at < word.length; at = scratch.next[at]!) ids.push(scratch.ids[at]!);
    }
    if (word.length > cachedUnits) return;
    if (this.#known.size >= cachedWords) this.#known.clear();
    this.#known.set(word, ids.slice(first));
  }

  /** The tokens of a word instead of their ids. */
  pieces(word: string): string[] {
    if (this.tables.ignoreMerges && pieceId(this.tables.trie, word) >= 0) return [word];
    const { next } = this.#merge(word);
    const pieces: string[] = [];
    for (let at = 0; at < word.length; at = next[at]!) pieces.push(word.slice(at, next[at]!));
    return pieces;
  }

  /**
   * Merges until no rank is left: pairs in the order of their ranks, equal ranks from the left.
   * source: huggingface/tokenizers `models/bpe/word.rs`, `merge_all`
   */
  #merge(word: string): Scratch {
    const { length } = word;
    const scratch = length <= scratchUnits ? this.#scratch : scratchFor(length);
    const { ids, next, previous } = scratch;
    const { mergedIds } = this.tables;
    const heap = this.#heap;
    for (let at = 0; at < length; at += 1) {
      ids[at] = this.#idOfUnit[word.charCodeAt(at)]!;
      next[at] = at + 1;
      previous[at] = at - 1;
      if (at > 0) this.#offer(ids[at - 1]!, ids[at]!, at - 1);
    }
    for (let top = heap.pop(); top >= 0; top = heap.pop()) {
      const rank = Math.floor(top / placeSpan);
      const at = top - rank * placeSpan;
      const id = mergedIds[rank]!;
      const right = next[at]!;
      if (ids[at]! < 0 || right >= length) continue;
      // The pair that was offered may have changed since.
      const now = this.#rankOf(ids[at]!, ids[right]!);
      if (now < 0 || mergedIds[now] !== id) continue;
      ids[at] = id;
      ids[right] = -1;
      const after = next[right]!;
      next[at] = after;
      if (after < length) {
        previous[after] = at;
        this.#offer(id, ids[after]!, at);
      }
      if (at > 0) this.#offer(ids[previous[at]!]!, id, previous[at]!);
    }
    heap.release();
    return scratch;
  }

  #offer(left: number, right: number, at: number): void {
    const rank = this.#rankOf(left, right);
    if (rank >= 0) this.#heap.push(rank * placeSpan + at);
  }

  #rankOf(left: number, right: number): number {
    const { merges } = this.tables;
    const mask = merges.length / mergeWords - 1;
    for (let slot = hashPair(left, right) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * mergeWords;
      const found = merges[at]!;
      if (found === 0) return -1;
      if (found === left + 1 && merges[at + 1] === right) return merges[at + 2]!;
    }
  }
}

/** Keeps this much room between words. */
const keptHeap = 65_536;

/** Binary heap of non-negative numbers. */
class MinHeap {
  #items = new Float64Array(1024);
  #size = 0;

  push(value: number): void {
    if (this.#size === this.#items.length) {
      const grown = new Float64Array(this.#size * 2);
      grown.set(this.#items);
      this.#items = grown;
    }
    const items = this.#items;
    let at = this.#size;
    this.#size += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]! <= value) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = value;
  }

  /** @returns the smallest number, or −1 when there is none */
  pop(): number {
    if (this.#size === 0) return -1;
    const items = this.#items;
    const top = items[0]!;
    this.#size -= 1;
    const last = items[this.#size]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && items[child + 1]! < items[child]!) child += 1;
      if (items[child]! >= last) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return top;
  }

  /** Gives back the memory that a long word took. */
  release(): void {
    if (this.#items.length > keptHeap) this.#items = new Float64Array(1024);
  }
}
