import { childOf, pieceId } from './piece-trie.ts';
import type { PieceTrieTables } from './piece-trie.ts';

/** A Unigram vocabulary in shared memory. */
export interface UnigramTables {
  readonly trie: PieceTrieTables;
  /** Log probability per id. */
  readonly scores: Float64Array;
  readonly unknownId: number;
  /** Score of a character that no piece covers: the lowest score − 10. */
  readonly unknownScore: number;
  /** An unknown run becomes its bytes (`<0xE2>` …) when the vocabulary has all of them. */
  readonly byteFallback: boolean;
}

/** Words up to this length reuse the same scratch arrays. */
const scratchUnits = 4096;

interface Scratch {
  readonly best: Float64Array;
  readonly from: Int32Array;
  readonly id: Int32Array;
}

function scratchFor(unitCount: number): Scratch {
  const size = unitCount + 1;
  return { best: new Float64Array(size), from: new Int32Array(size), id: new Int32Array(size) };
}

/** The most probable cut of a word into pieces. One instance is used by one thread. */
export class UnigramModel {
  readonly tables: UnigramTables;
  readonly #scratch = scratchFor(scratchUnits);

  constructor(tables: UnigramTables) {
    this.tables = tables;
  }

  /**
   * Appends the ids of a word: Viterbi over all pieces; among equal scores the cut whose last piece begins first wins.
   * Neighbouring unknown characters become one unknown token.
   * source: huggingface/tokenizers `models/unigram/model.rs`, `encode_optimized` and `tokenize`
   */
  appendIds(word: string, ids: number[]): void {
    const scratch = this.#search(word);
    const first = ids.length;
    for (let end = word.length; end > 0;) {
      const start = this.#tokenStart(scratch, end);
      const id = scratch.id[end]!;
      if (id !== this.tables.unknownId) ids.push(id);
      else for (const token of this.#spellUnknown(word.slice(start, end)).toReversed()) ids.push(this.#idOf(token));
      end = start;
    }
    // The path was followed backwards.
    for (let low = first, high = ids.length - 1; low < high; low += 1, high -= 1) {
      const kept = ids[low]!;
      ids[low] = ids[high]!;
      ids[high] = kept;
    }
  }

  /** The tokens of a word instead of their ids. */
  pieces(word: string): string[] {
    const scratch = this.#search(word);
    const pieces: string[] = [];
    for (let end = word.length; end > 0;) {
      const start = this.#tokenStart(scratch, end);
      const piece = word.slice(start, end);
      if (scratch.id[end] === this.tables.unknownId) pieces.push(...this.#spellUnknown(piece).toReversed());
      else pieces.push(piece);
      end = start;
    }
    return pieces.toReversed();
  }

  /** Start of the token that ends at `end`; unknown neighbours are one token. */
  #tokenStart({ from, id }: Scratch, end: number): number {
    let start = from[end]!;
    const { unknownId } = this.tables;
    if (id[end] === unknownId) while (start > 0 && id[start] === unknownId) start = from[start]!;
    return start;
  }

  /** An unknown run as it is, or as byte pieces when the model falls back to bytes and has all of them. */
  #spellUnknown(run: string): string[] {
    const { trie, byteFallback } = this.tables;
    // A fused run can spell a piece: `<unk>` itself, or anything when scores are positive.
    if (!byteFallback || pieceId(trie, run) >= 0) return [run];
    const bytes = Array.from(
      new TextEncoder().encode(run),
      (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    );
    return bytes.every((piece) => pieceId(trie, piece) >= 0) ? bytes : [run];
  }

  #idOf(token: string): number {
    const id = pieceId(this.tables.trie, token);
    return id < 0 ? this.tables.unknownId : id;
  }

  #search(word: string): Scratch {
    const scratch = word.length <= scratchUnits ? this.#scratch : scratchFor(word.length);
    const { best, from, id } = scratch;
    const { scores, unknownId, unknownScore } = this.tables;
    const { root, slots, nodes } = this.tables.trie;
    const length = word.length;
    from.fill(-1, 0, length + 1);
    best[0] = 0;
    for (let start = 0; start < length;) {
      const here = best[start]!;
      const unit = word.charCodeAt(start);
      const character = (unit & 0xfc00) === 0xd800 ? 2 : 1;
      let covered = false;
      let node = root[unit]!;
      let end = start + 1;
      while (node !== 0) {
        const mark = nodes[node]!;
        if (mark > 1) {
          const piece = (mark >>> 1) - 1;
          const score = scores[piece]! + here;
          if (from[end]! < 0 || score > best[end]!) {
            best[end] = score;
            from[end] = start;
            id[end] = piece;
          }
          if (end - start === character) covered = true;
        }
        if ((mark & 1) === 0 || end === length) break;
        node = childOf(slots, node, word.charCodeAt(end));
        end += 1;
      }
      start += character;
      if (covered) continue;
      const score = unknownScore + here;
      if (from[start]! < 0 || score > best[start]!) {
        best[start] = score;
        from[start] = start - character;
        id[start] = unknownId;
      }
    }
    return scratch;
  }
}
