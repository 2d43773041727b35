import { WgrankError } from '../errors.ts';

/**
 * A trie over UTF-16 units in three flat arrays, so that worker threads can share it. Node 0 is the root.
 * An edge takes two slots of a hash table with linear probing: `parent << 8 | low byte of the unit` and
 * `child << 8 | high byte of the unit`; an edge word of 0 is free.
 */
export interface PieceTrieTables {
  /** Child of the root per unit, 0 for none: the step that every position of a text makes. */
  readonly root: Int32Array;
  readonly slots: Int32Array;
  /** Per node `(id + 1) << 1 | has children`; id + 1 is 0 where no piece ends. */
  readonly nodes: Int32Array;
}

const maxNodes = 1 << 24;
const units = 0x10000;

function hashEdge(node: number, unit: number): number {
  const mixed = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

/** Child of a node other than the root, 0 for none. */
export function childOf(slots: Int32Array, node: number, unit: number): number {
  const mask = (slots.length >>> 1) - 1;
  const key = (node << 8) | (unit & 0xff);
  const high = unit >>> 8;
  let slot = hashEdge(node, unit) & mask;
  for (;;) {
    const edge = slots[2 * slot + 1]!;
    if (edge === 0) return 0;
    if (slots[2 * slot] === key && (edge & 0xff) === high) return edge >>> 8;
    slot = (slot + 1) & mask;
  }
}

/** Id of a whole piece, or −1. */
export function pieceId(tables: PieceTrieTables, text: string): number {
  if (text === '') return -1;
  let node = tables.root[text.charCodeAt(0)]!;
  for (let i = 1; i < text.length && node !== 0; i += 1) node = childOf(tables.slots, node, text.charCodeAt(i));
  return node === 0 ? -1 : (tables.nodes[node]! >>> 1) - 1;
}

/** Collects pieces; ids are below 2^30. A piece that comes twice has its last id, as in the Rust library. */
export class PieceTrieBuilder {
  readonly #root = sharedInts(units);
  #slots: Int32Array;
  #nodes: Int32Array;
  #count = 1;

  /** @param expectedNodes a guess that saves growing */
  constructor(expectedNodes = 256) {
    const nodes = 2 ** Math.ceil(Math.log2(expectedNodes));
    this.#nodes = new Int32Array(nodes);
    this.#slots = sharedInts(4 * nodes);
  }

  /** @param piece UTF-16 units; only the first `length` are read. An empty piece is ignored: it can match nothing. */
  add(piece: Uint16Array, length: number, id: number): void {
    let node = 0;
    for (let i = 0; i < length; i += 1) {
      const unit = piece[i]!;
      const child = node === 0 ? this.#root[unit]! : childOf(this.#slots, node, unit);
      node = child === 0 ? this.#append(node, unit) : child;
    }
    if (node !== 0) this.#nodes[node] = ((id + 1) << 1) | (this.#nodes[node]! & 1);
  }

  /** True when the piece has been added. */
  has(piece: Uint16Array, length: number): boolean {
    let node = 0;
    for (let i = 0; i < length; i += 1) {
      node = node === 0 ? this.#root[piece[i]!]! : childOf(this.#slots, node, piece[i]!);
      if (node === 0) return false;
    }
    return this.#nodes[node]! > 1;
  }

  #append(parent: number, unit: number): number {
    const child = this.#count;
    if (child >= maxNodes)
      throw new WgrankError(
        'tokenizer-invalid',
        'tokenizer.json',
        `model: the vocabulary needs more than ${maxNodes} trie nodes`,
      );
    this.#count += 1;
    if (child === this.#nodes.length) this.#nodes = grow(this.#nodes);
    this.#nodes[parent]! |= 1;
    if (parent === 0) {
      this.#root[unit] = child;
      return child;
    }
    if (this.#count * 2 > this.#slots.length >>> 1) this.#rehash();
    insert(this.#slots, parent, unit, child);
    return child;
  }

  #rehash(): void {
    const old = this.#slots;
    this.#slots = sharedInts(old.length * 2);
    for (let slot = 0; slot < old.length; slot += 2) {
      const edge = old[slot + 1]!;
      if (edge === 0) continue;
      const key = old[slot]!;
      insert(this.#slots, key >>> 8, (key & 0xff) | ((edge & 0xff) << 8), edge >>> 8);
    }
  }

  /** The finished trie in shared memory. */
  finish(): PieceTrieTables {
    const nodes = sharedInts(this.#count);
    nodes.set(this.#nodes.subarray(0, this.#count));
    return { root: this.#root, slots: this.#slots, nodes };
  }
}

function insert(slots: Int32Array, parent: number, unit: number, child: number): void {
  const mask = (slots.length >>> 1) - 1;
  let slot = hashEdge(parent, unit) & mask;
  while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
  slots[2 * slot] = (parent << 8) | (unit & 0xff);
  slots[2 * slot + 1] = (child << 8) | (unit >>> 8);
}

function grow(array: Int32Array): Int32Array {
  const grown = new Int32Array(array.length * 2);
  grown.set(array);
  return grown;
}

function sharedInts(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT));
}
