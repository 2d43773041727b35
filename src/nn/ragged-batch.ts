import type { Graph } from '../graph/graph.ts';
import type { HostArray } from '../graph/plan.ts';
import type { Sizes, Tensor } from '../tensor/tensor.ts';

/** Names of the axes that only a batch knows. */
export const axes = { tokens: 'T', sequences: 'S', tiles: 'N' } as const;

/** What the host writes for a batch of sequences that lie one behind the other, without padding. */
export interface RaggedInputs {
  /** u32 [T] */
  readonly ids: Tensor;
  /** u32 [T], rows of the position table */
  readonly positions: Tensor;
  /** u32 [N, 4]: attention tiles in which every token asks */
  readonly tiles: Tensor;
  /** u32 [S]: each sequence's scored token */
  readonly scored: Tensor;
  /** u32 [S, 4]: attention tiles in which only the scored tokens ask */
  readonly scoredTiles: Tensor;
}

export function declareRaggedInputs(graph: Graph): RaggedInputs {
  return {
    ids: graph.input('ids', 'u32', [axes.tokens]),
    positions: graph.input('positions', 'u32', [axes.tokens]),
    tiles: graph.input('tiles', 'u32', [axes.tiles, 4]),
    scored: graph.input('scored', 'u32', [axes.sequences]),
    scoredTiles: graph.input('scoredTiles', 'u32', [axes.sequences, 4]),
  };
}

/** Largest value of every axis for a token budget. @param tileRows query rows of an attention tile */
export function raggedCapacity(tokens: number, sequences: number, tileRows: number): Sizes {
  // Each sequence starts a tile of its own, so at most one tile of each is not full.
  return { T: tokens, S: sequences, N: Math.ceil(tokens / tileRows) + sequences };
}

/** A batch in the form that a plan runs. */
export interface HostBatch {
  readonly sizes: Sizes;
  readonly inputs: Readonly<Record<string, HostArray>>;
}

/**
 * Lays sequences one behind the other.
 * @param sequences     token ids of each, none empty
 * @param firstPosition position of a sequence's first token
 * @param scored        which token of a sequence of the given length is scored
 * @param tileRows      query rows of an attention tile
 */
export function layOutBatch(
  sequences: readonly Int32Array[],
  firstPosition: number,
  scored: (length: number) => number,
  tileRows: number,
): HostBatch {
  const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
  const tileCount = sequences.reduce((sum, ids) => sum + Math.ceil(ids.length / tileRows), 0);
  const inputs = {
    ids: new Uint32Array(tokens),
    positions: new Uint32Array(tokens),
    tiles: new Uint32Array(tileCount * 4),
    scored: new Uint32Array(sequences.length),
    scoredTiles: new Uint32Array(sequences.length * 4),
  };
  let start = 0;
  let tile = 0;
  sequences.forEach((ids, s) => {
    const end = start + ids.length;
    inputs.ids.set(ids, start);
    for (let i = 0; i < ids.length; i++) inputs.positions[start + i] = firstPosition + i;
    for (let first = start; first < end; first += tileRows) {
      inputs.tiles.set([first, Math.min(tileRows, end - first), start, end], 4 * tile++);
    }
    inputs.scored[s] = start + scored(ids.length);
    inputs.scoredTiles.set([s, 1, start, end], 4 * s);
    start = end;
  });
  return { sizes: { T: tokens, S: sequences.length, N: tileCount }, inputs };
}
