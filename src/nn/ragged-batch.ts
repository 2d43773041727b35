import { WgrankError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import type { HostArray } from '../graph/plan.ts';
import { packTiles, seesAll, tileWords, type AttentionTile } from '../ops/attention.ts';
import type { Sizes, Tensor } from '../tensor/tensor.ts';
import { sharedTokens } from './token-meter.ts';

/** Names of the axes that only a batch knows. */
export const axes = { tokens: 'T', sequences: 'S', tiles: 'N' } as const;

/** What the host writes for a batch of sequences that lie one behind the other, without padding. */
export interface RaggedInputs {
  /** u32 [T] */
  readonly ids: Tensor;
  /** u32 [T], rows of the position table */
  readonly positions: Tensor;
  /** u32 [N, 8]: attention tiles in which every token asks */
  readonly tiles: Tensor;
  /** u32 [S]: each sequence's scored token */
  readonly scored: Tensor;
  /** u32 [S, 8]: attention tiles in which only the scored tokens ask */
  readonly scoredTiles: Tensor;
}

/** Inputs of a batch whose sequences share prefixes. */
export interface SharedInputs extends RaggedInputs {
  /** u32 [S]: positions of the scored tokens */
  readonly scoredPositions: Tensor;
}

export function declareRaggedInputs(graph: Graph): RaggedInputs {
  return { ...declareSequences(graph), positions: graph.input('positions', 'u32', [axes.tokens]) };
}

function declareSequences(graph: Graph): Omit<RaggedInputs, 'positions'> {
  return {
    ids: graph.input('ids', 'u32', [axes.tokens]),
    tiles: graph.input('tiles', 'u32', [axes.tiles, tileWords]),
    scored: graph.input('scored', 'u32', [axes.sequences]),
    scoredTiles: graph.input('scoredTiles', 'u32', [axes.sequences, tileWords]),
  };
}

/** @param positionAxes numbers of a position: with more than one, positions are `[T, positionAxes]` */
export function declareSharedInputs(graph: Graph, positionAxes = 1): SharedInputs {
  const perPosition = positionAxes === 1 ? [] : [positionAxes];
  return {
    ...declareSequences(graph),
    positions: graph.input('positions', 'u32', [axes.tokens, ...perPosition]),
    scoredPositions: graph.input('scoredPositions', 'u32', [axes.sequences, ...perPosition]),
  };
}

/** Largest value of every axis for a token budget. @param tileRows query rows of an attention tile */
export function raggedCapacity(tokens: number, sequences: number, tileRows: number): Sizes {
  // Each sequence and each shared prefix starts a tile of its own, so at most one tile of each is not full.
  return { T: tokens, S: sequences, N: Math.ceil(tokens / tileRows) + 2 * sequences };
}

/** A batch in the form that a plan runs. */
export interface HostBatch {
  /** T is the number of tokens that go through the layers: a shared prefix counts once. */
  readonly sizes: Sizes;
  readonly inputs: Readonly<Record<string, HostArray>>;
}

/** Where the keys of a sequence lie, by position. */
type Places = Pick<AttentionTile, 'prefixRow' | 'prefix' | 'ownRow'>;

/**
 * Lays sequences one behind the other; every token sees all of its sequence.
 * @param sequences     token ids of each, none empty
 * @param firstPosition position of a sequence's first token
 * @param scored        which token of a sequence of the given length is scored
 * @param tileRows      query rows of an attention tile
 * @param padding       id that a text may spell, and that takes no position (XLM-RoBERTa: its position is the id itself)
 */
export function layOutBatch(
  sequences: readonly Int32Array[],
  firstPosition: number,
  scored: (length: number) => number,
  tileRows: number,
  padding?: number,
): HostBatch {
  const lines = new Lines(sequences.reduce((sum, ids) => sum + ids.length, 0));
  const tiles: AttentionTile[] = [];
  const scoredTiles: AttentionTile[] = [];
  const scoredRows = sequences.map((ids, s) => {
    const start = lines.write(ids, firstPosition, padding);
    const sees = { keys: ids.length, horizon: seesAll, prefixRow: start, prefix: 0, ownRow: start };
    for (let i = 0; i < ids.length; i += tileRows) {
      tiles.push({ first: start + i, rows: Math.min(tileRows, ids.length - i), ...sees });
    }
    scoredTiles.push({ first: s, rows: 1, ...sees });
    return start + scored(ids.length);
  });
  return hostBatch(lines, tiles, scoredTiles, { scored: Uint32Array.from(scoredRows) });
}

/** Sequences that begin with the same tokens: each is the prefix and what is its own. */
export interface PrefixGroup {
  readonly prefix: Int32Array;
  /** None empty: the last own token is the one that is scored. */
  readonly own: readonly Int32Array[];
}

/**
 * Lays a group's prefix and behind it what is each sequence's own, [prefix | own | own …]; every token sees its sequence up to
 * itself, and each sequence's last token is scored.
 * @param firstPosition position of a sequence's first token
 * @param tileRows      query rows of an attention tile
 * @param positions     of each sequence's tokens, where they do not simply count on; several numbers a token
 * @throws WgrankError `input-invalid` for a sequence without tokens of its own
 */
export function layOutSharedBatch(
  groups: readonly PrefixGroup[],
  firstPosition: number,
  tileRows: number,
  positions?: readonly Uint32Array[],
): HostBatch {
  const lengthOf = ({ prefix, own }: PrefixGroup) => own.reduce((sum, ids) => sum + ids.length, prefix.length);
  const lines = new Lines(groups.reduce((sum, group) => sum + lengthOf(group), 0));
  const tiles: AttentionTile[] = [];
  const scoredTiles: AttentionTile[] = [];
  const scored: number[] = [];
  const scoredPositions: number[] = [];
  /** Tiles of `count` tokens that follow the prefix, in rows ownRow …. */
  const cut = (count: number, places: Places) => {
    for (let i = 0; i < count; i += tileRows) {
      const [rows, position] = [Math.min(tileRows, count - i), places.prefix + i];
      tiles.push({ first: places.ownRow + i, rows, keys: position + rows, horizon: position, ...places });
    }
  };
  for (const { prefix, own } of groups) {
    const prefixRow = lines.write(prefix, firstPosition);
    cut(prefix.length, { prefixRow, prefix: 0, ownRow: prefixRow });
    for (const ids of own) {
      if (ids.length === 0) {
        const which = `sequence ${scored.length}`;
        throw new WgrankError(
          'input-invalid',
          'batch',
          `${which} has no tokens behind its prefix (expected one or more)`,
        );
      }
      const ownRow = lines.write(ids, firstPosition + prefix.length);
      const places = { prefixRow, prefix: prefix.length, ownRow };
      cut(ids.length, places);
      const keys = prefix.length + ids.length;
      scoredTiles.push({ first: scored.length, rows: 1, keys, horizon: keys - 1, ...places });
      scored.push(ownRow + ids.length - 1);
      scoredPositions.push(firstPosition + keys - 1);
    }
  }
  const batch = hostBatch(lines, tiles, scoredTiles, {
    scored: Uint32Array.from(scored),
    scoredPositions: Uint32Array.from(scoredPositions),
  });
  return positions ? { ...batch, inputs: { ...batch.inputs, ...placePositions(groups, scored, positions) } } : batch;
}

/** Positions of several numbers by row, a shared prefix's being those of any sequence that begins with it. */
function placePositions(
  groups: readonly PrefixGroup[],
  scored: readonly number[],
  positions: readonly Uint32Array[],
): Pick<HostBatch['inputs'], 'positions' | 'scoredPositions'> {
  const parts: Uint32Array[] = [];
  let sequence = 0;
  let width = 1;
  for (const { prefix, own } of groups) {
    for (const [i, ids] of own.entries()) {
      const all = positions[sequence++]!;
      width = all.length / (prefix.length + ids.length);
      parts.push(i === 0 ? all : all.subarray(prefix.length * width));
    }
  }
  const placed = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    placed.set(part, at);
    at += part.length;
  }
  const ofScored = new Uint32Array(scored.length * width);
  scored.forEach((row, s) => ofScored.set(placed.subarray(row * width, (row + 1) * width), s * width));
  return { positions: placed, scoredPositions: ofScored };
}

/** A batch's tokens, row by row. */
class Lines {
  readonly ids: Uint32Array;
  readonly positions: Uint32Array;
  #rows = 0;

  constructor(tokens: number) {
    this.ids = new Uint32Array(tokens);
    this.positions = new Uint32Array(tokens);
  }

  /**
   * @param padding an id that takes no position of its own: its tokens get that number for one
   * @returns the first one's row
   */
  write(ids: Int32Array, firstPosition: number, padding?: number): number {
    const start = this.#rows;
    this.ids.set(ids, start);
    let position = firstPosition;
    for (let i = 0; i < ids.length; i++) {
      this.positions[start + i] = padding !== undefined && ids[i] === padding ? padding : position++;
    }
    this.#rows += ids.length;
    return start;
  }
}

function hostBatch(
  { ids, positions }: Lines,
  tiles: readonly AttentionTile[],
  scoredTiles: readonly AttentionTile[],
  inputs: HostBatch['inputs'],
): HostBatch {
  return {
    sizes: { T: ids.length, S: scoredTiles.length, N: tiles.length },
    inputs: { ids, positions, tiles: packTiles(tiles), scoredTiles: packTiles(scoredTiles), ...inputs },
  };
}

/** Sequences of a group at the most, which bounds the search: beyond it a prefix is computed again. */
const largestGroup = 1024;

/**
 * Cuts sequences, in their order, into groups with a common prefix so that the fewest tokens go through the layers. Every
 * sequence keeps its last token for itself.
 * @param sequences token ids of each, none empty
 */
export function groupByPrefix(sequences: readonly Int32Array[]): PrefixGroup[] {
  // What a group shares is the least that any two neighbours in it do.
  const shared = sequences.map((ids, s) => (s === 0 ? 0 : sharedTokens(sequences[s - 1]!, ids)));
  // Best grouping of the first 0, 1, 2 … sequences: tokens saved, and the last group's first sequence and prefix.
  const best = [{ saved: 0, first: 0, prefix: 0 }];
  for (let end = 1; end <= sequences.length; end++) {
    let choice = { saved: best[end - 1]!.saved, first: end - 1, prefix: 0 };
    let prefix = Infinity;
    for (let first = end - 2; first >= Math.max(0, end - largestGroup); first--) {
      prefix = Math.min(prefix, shared[first + 1]!);
      if (prefix === 0) break;
      const saved = best[first]!.saved + (end - first - 1) * prefix;
      if (saved >= choice.saved) choice = { saved, first, prefix };
    }
    best.push(choice);
  }
  const groups: PrefixGroup[] = [];
  for (let end = sequences.length; end > 0; end = best[end]!.first) {
    const { first, prefix } = best[end]!;
    const own = sequences.slice(first, end).map((ids) => ids.subarray(prefix));
    groups.push({ prefix: sequences[first]!.subarray(0, prefix), own });
  }
  return groups.toReversed();
}
