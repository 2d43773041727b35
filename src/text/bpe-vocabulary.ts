import type { BpeTables } from './bpe.ts';
import { hashPair, mergeWords } from './bpe.ts';
import { unitOfByte } from './byte-level.ts';
import { UnitBuffer } from './json-cursor.ts';
import type { JsonCursor } from './json-cursor.ts';
import { childOf, PieceTrieBuilder } from './piece-trie.ts';
import type { PieceTrieTables } from './piece-trie.ts';
import { maxPieceUnits } from './unigram-vocabulary.ts';

/** Qwen's has 151,387; the rank must fit beside a place in a double. */
const maxMerges = 2 ** 21;
/** Bytes of a tokenizer.json per trie node, about, in Qwen3's. */
const bytesPerNode = 24;
const maxExpectedNodes = 2 ** 20;
const maxId = 2 ** 30;
const space = 0x20;

/** Settings that change ids, and the values under which they do not. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  type: ['BPE'],
  dropout: [null, 0],
  continuing_subword_prefix: [null, ''],
  end_of_word_suffix: [null, ''],
  fuse_unk: [false, true],
  byte_fallback: [false, true],
  ignore_merges: [false, true],
};

/**
 * Reads the `model` object of a tokenizer.json into shared tables. Every byte has a piece, so that unknown pieces cannot come up:
 * `unk_token`, `fuse_unk` and `byte_fallback` play no role.
 * @throws WgrankError `tokenizer-invalid` when it is not a byte-level BPE model
 */
export function readBpeModel(cursor: JsonCursor): BpeTables {
  let vocabulary: Vocabulary | undefined;
  let mergesAt = -1;
  let ignoreMerges = false;
  cursor.object((key) => {
    if (key === 'vocab') vocabulary = readVocabulary(cursor);
    else if (key === 'merges') {
      // They name pieces, and the vocabulary may come later.
      cursor.peek();
      mergesAt = cursor.at;
      cursor.skip();
    } else if (key === 'unk_token') cursor.value();
    else {
      const value = cursor.value();
      const allowed = Object.hasOwn(neutral, key) ? neutral[key]! : [];
      if (!allowed.includes(value)) throw cursor.fault(`model: ${key} ${JSON.stringify(value)} is not supported, read`);
      if (key === 'ignore_merges') ignoreMerges = value === true;
    }
  });
  if (vocabulary === undefined || mergesAt < 0) throw cursor.fault('model: vocab or merges is missing, read');
  const { trie, pieceCount } = vocabulary;
  const byteIds = readByteIds(trie, cursor);
  const end = cursor.at;
  cursor.at = mergesAt;
  const merges = readMerges(cursor, trie);
  cursor.at = end;
  return { trie, pieceCount, byteIds, ignoreMerges, ...merges };
}

interface Vocabulary {
  readonly trie: PieceTrieTables;
  readonly pieceCount: number;
}

function readVocabulary(cursor: JsonCursor): Vocabulary {
  const builder = new PieceTrieBuilder(Math.min(Math.max(256, cursor.bytes.length / bytesPerNode), maxExpectedNodes));
  const text = new UnitBuffer();
  let pieceCount = 0;
  cursor.expect('{');
  if (!cursor.accept('}')) {
    do {
      const length = cursor.stringUnits(text);
      if (length > maxPieceUnits)
        throw cursor.fault(`model: a piece of ${length} UTF-16 units (at most ${maxPieceUnits})`);
      cursor.expect(':');
      const id = cursor.wholeNumber();
      if (id >= maxId) throw cursor.fault(`model: id ${id} is not a token id (below ${maxId})`);
      if (builder.has(text.units, length)) throw cursor.fault('model: a piece comes twice');
      builder.add(text.units, length, id);
      pieceCount += 1;
    } while (cursor.accept(','));
    cursor.expect('}');
  }
  return { trie: builder.finish(), pieceCount };
}

function readByteIds(trie: PieceTrieTables, cursor: JsonCursor): Int32Array {
  const ids = sharedInts(256);
  unitOfByte.forEach((unit, byte) => {
    const id = idOf(trie, walk(trie, 0, Uint16Array.of(unit), 0, 1));
    if (id < 0)
      throw cursor.fault(`model: the vocabulary has no piece for byte ${byte} (byte-level BPE has 256), read`);
    ids[byte] = id;
  });
  return ids;
}

/** Reads `"left right"` texts or `["left", "right"]` pairs. */
function readMerges(cursor: JsonCursor, trie: PieceTrieTables): Pick<BpeTables, 'merges' | 'mergedIds'> {
  const left = new UnitBuffer();
  const right = new UnitBuffer();
  const table = new MergeTable();
  cursor.expect('[');
  if (!cursor.accept(']')) {
    do {
      let leftLength: number;
      let rightLength: number;
      if (cursor.accept('[')) {
        leftLength = cursor.stringUnits(left);
        cursor.expect(',');
        rightLength = cursor.stringUnits(right);
        cursor.expect(']');
      } else {
        const length = cursor.stringUnits(left);
        leftLength = left.units.indexOf(space);
        if (leftLength < 0 || leftLength >= length || left.units.subarray(0, length).lastIndexOf(space) !== leftLength)
          throw cursor.fault('model: a merge is not two pieces with a space between them');
        rightLength = length - leftLength - 1;
        while (right.units.length < rightLength) right.grow();
        right.units.set(left.units.subarray(leftLength + 1, length));
      }
      const node = walk(trie, 0, left.units, 0, leftLength);
      const leftId = idOf(trie, node);
      const rightId = idOf(trie, walk(trie, 0, right.units, 0, rightLength));
      const mergedId = node < 0 ? -1 : idOf(trie, walk(trie, node, right.units, 0, rightLength));
      if (leftId < 0 || rightId < 0 || mergedId < 0)
        throw cursor.fault(`model: merge ${table.size} joins or makes a piece that the vocabulary lacks`);
      if (table.size === maxMerges) throw cursor.fault(`model: more than ${maxMerges} merges`);
      if (!table.add(leftId, rightId, mergedId)) throw cursor.fault(`model: merge ${table.size} comes twice`);
    } while (cursor.accept(','));
    cursor.expect(']');
  }
  return table.finish();
}

/** Node of the trie behind some units, or −1. Node 0 is the root. */
function walk(trie: PieceTrieTables, from: number, units: Uint16Array, start: number, end: number): number {
  let node = from;
  for (let at = start; at < end; at += 1) {
    node = node === 0 ? trie.root[units[at]!]! : childOf(trie.slots, node, units[at]!);
    if (node === 0) return -1;
  }
  return node;
}

function idOf(trie: PieceTrieTables, node: number): number {
  return node <= 0 ? -1 : (trie.nodes[node]! >>> 1) - 1;
}

class MergeTable {
  size = 0;
  #slots = sharedInts(1024 * mergeWords);
  #mergedIds = new Int32Array(1024);

  /** @returns false when the pair is there already */
  add(left: number, right: number, mergedId: number): boolean {
    if ((this.size + 1) * 2 > this.#slots.length / mergeWords) this.#grow();
    if (!insert(this.#slots, left, right, this.size)) return false;
    if (this.size === this.#mergedIds.length) {
      const grown = new Int32Array(this.size * 2);
      grown.set(this.#mergedIds);
      this.#mergedIds = grown;
    }
    this.#mergedIds[this.size] = mergedId;
    this.size += 1;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = sharedInts(old.length * 2);
    for (let at = 0; at < old.length; at += mergeWords)
      if (old[at] !== 0) insert(this.#slots, old[at]! - 1, old[at + 1]!, old[at + 2]!);
  }

  finish(): Pick<BpeTables, 'merges' | 'mergedIds'> {
    const mergedIds = sharedInts(this.size);
    mergedIds.set(this.#mergedIds.subarray(0, this.size));
    return { merges: this.#slots, mergedIds };
  }
}

function insert(slots: Int32Array, left: number, right: number, rank: number): boolean {
  const mask = slots.length / mergeWords - 1;
  for (let slot = hashPair(left, right) & mask; ; slot = (slot + 1) & mask) {
    const at = slot * mergeWords;
    if (slots[at] === 0) {
      slots[at] = left + 1;
      slots[at + 1] = right;
      slots[at + 2] = rank;
      return true;
    }
    if (slots[at] === left + 1 && slots[at + 1] === right) return false;
  }
}

function sharedInts(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT));
}
