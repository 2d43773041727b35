import { expect } from 'vitest';
import {
  attention,
  packTiles,
  seesAll,
  tileRows,
  tileWords,
  type AttentionTile,
  type AttentionVariantName,
} from '../../src/ops/attention.ts';
import type { Asking } from '../reference/attention.ts';
import { poison, runOp } from '../support/op-harness.ts';
import type { Case } from './cases.ts';
import { uniform } from './values.ts';

/** `even`: scores within ±1. The others reach ±50: at random, or so that each key, or only the first, is a new maximum. */
export const kinds = ['even', 'wide', 'rising', 'falling'] as const;

export interface Program extends Case {
  readonly variant: AttentionVariantName;
  /** Head size. */
  readonly D: number;
}

export interface AttentionCase extends Program {
  readonly heads: number;
  readonly kvHeads: number;
  /** What a row sees of its sequence: all, or what lies up to itself. */
  readonly mask: 'both ways' | 'causal';
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Rows before the first sequence that belong to none and hold NaN. */
  readonly before: number;
  /** Whether every token asks, or each sequence's last, as in the last layer. */
  readonly asks: 'all' | 'one';
  readonly kind: (typeof kinds)[number];
  readonly seed: number;
}

export interface Sequence {
  /** f32 [rows that ask, H·D] and [length, 2·G·D]. */
  readonly query: Float32Array;
  readonly keyValue: Float32Array;
}

export function sequencesOf({ D, heads, kvHeads, lengths, asks, kind, seed }: AttentionCase): Sequence[] {
  const [width, kvWidth] = [heads * D, kvHeads * D];
  return lengths.map((length, s) => {
    const at = 1000 * seed + 10 * s;
    const rows = asks === 'all' ? length : 1;
    const keyValue = uniform(at + 1, 2 * length * kvWidth);
    if (kind === 'even' || kind === 'wide') return { query: uniform(at, rows * width), keyValue };
    // All keys lie along one direction, and every query has a positive product with it.
    const direction = uniform(at + 2, kvWidth, 0.5, 1);
    for (let j = 0; j < length; j++) {
      const along = length === 1 ? 1 : (2 * j) / (length - 1) - 1;
      keyValue.set(
        direction.map((d) => (kind === 'rising' ? along : -along) * d),
        2 * j * kvWidth,
      );
    }
    return { query: uniform(at, rows * width, 0.5, 1), keyValue };
  });
}

/** Largest score of a kind. */
export const largestScore = (kind: AttentionCase['kind']) => (kind === 'even' ? 1 : 50);

/** The factor that makes the largest score what its kind says. */
export function scaleOf({ D, heads, kvHeads, kind }: AttentionCase, sequences: readonly Sequence[]): number {
  let highest = 0;
  for (const { query, keyValue } of sequences) {
    for (let q = 0; q < query.length; q += D) {
      const kvHead = Math.floor((((q / D) % heads) * kvHeads) / heads);
      for (let k = kvHead * D; k < keyValue.length; k += 2 * kvHeads * D) {
        let product = 0;
        for (let d = 0; d < D; d++) product += query[q + d]! * keyValue[k + d]!;
        highest = Math.max(highest, Math.abs(product));
      }
    }
  }
  return Math.fround(largestScore(kind) / highest);
}

/** What must not change any bit of the result. */
export interface Placing {
  /** Query rows of each tile; the most that the variant takes without it. */
  readonly rows?: number;
  /** Keys of sequence s that lie apart from the rest. */
  readonly prefix?: (s: number) => number;
  /** Tiles list all keys of the sequence, also those that none of their rows sees. */
  readonly allKeys?: boolean;
}

/** Sequences one behind the other after `before` rows of NaN, their prefixes behind them, the last one's first, with NaN between. */
export function layOut(one: AttentionCase, sequences: readonly Sequence[], placing: Placing = {}) {
  const { rows: tileSize = tileRows(one.variant), prefix: prefixOf = () => 0, allKeys = false } = placing;
  const [width, kvWidth] = [one.heads * one.D, 2 * one.kvHeads * one.D];
  const shapes = sequences.map(({ query, keyValue }, s) => {
    return { rows: query.length / width, keys: keyValue.length / kvWidth, prefix: prefixOf(s) };
  });
  const query = new Float32Array((one.before + shapes.reduce((sum, { rows }) => sum + rows, 0)) * width).fill(NaN);
  const keyRows = shapes.reduce((sum, { keys }) => sum + keys + 1, one.before);
  const keyValue = new Float32Array(keyRows * kvWidth).fill(NaN);
  const asking: Asking[] = [];
  const tiles: AttentionTile[] = [];
  let [first, ownRow, prefixEnd] = [one.before, one.before, keyRows];
  shapes.forEach(({ rows, keys, prefix }, s) => {
    const prefixRow = prefixEnd - prefix;
    const position = keys - rows; // of the first row that asks
    for (let i = 0; i < rows; i += tileSize) {
      const count = Math.min(tileSize, rows - i);
      const sees =
        one.mask === 'causal'
          ? { keys: allKeys ? keys : position + i + count, horizon: position + i }
          : { keys, horizon: seesAll };
      tiles.push({ first: first + i, rows: count, ...sees, prefixRow, prefix, ownRow });
    }
    asking.push({
      queries: [first, first + rows],
      keys: Array.from({ length: keys }, (_, j) => (j < prefix ? prefixRow + j : ownRow + j - prefix)),
      horizon: one.mask === 'causal' ? position : Infinity,
    });
    query.set(sequences[s]!.query, first * width);
    keyValue.set(sequences[s]!.keyValue.subarray(0, prefix * kvWidth), prefixRow * kvWidth);
    keyValue.set(sequences[s]!.keyValue.subarray(prefix * kvWidth), ownRow * kvWidth);
    [first, ownRow, prefixEnd] = [first + rows, ownRow + keys - prefix, prefixRow - 1];
  });
  return { query, keyValue, tiles: packTiles(tiles), asking };
}

/** @returns the sequences' rows, one behind the other; those before them must not have been written */
export async function run(
  one: Pick<AttentionCase, 'variant' | 'D' | 'heads' | 'kvHeads' | 'before'>,
  batch: Pick<ReturnType<typeof layOut>, 'query' | 'keyValue' | 'tiles'>,
  scale: number,
): Promise<Float32Array> {
  const { variant, heads, kvHeads, before } = one;
  const [width, kvWidth] = [heads * one.D, 2 * kvHeads * one.D];
  const out = await runOp((op) => {
    op.sizes = {
      Q: batch.query.length / width,
      T: batch.keyValue.length / kvWidth,
      N: batch.tiles.length / tileWords,
    };
    const query = op.input('query', 'f32', ['Q', width], batch.query);
    const keyValue = op.input('keyValue', 'f32', ['T', kvWidth], batch.keyValue);
    const tiles = op.input('tiles', 'u32', ['N', tileWords], batch.tiles);
    return attention(op.graph, variant, query, keyValue, tiles, { heads, kvHeads, scale });
  });
  const untouched = new Uint32Array(out.buffer, 0, before * width);
  expect(untouched.every((word) => word === poison)).toBe(true);
  return out.slice(before * width);
}
