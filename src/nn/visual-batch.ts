import type { Graph } from '../graph/graph.ts';
import { packTiles, seesAll, tileWords, type AttentionTile } from '../ops/attention.ts';
import type { Sizes, Tensor } from '../tensor/tensor.ts';
import type { HostBatch } from './ragged-batch.ts';

/** One or two frames of equal size that a vision tower takes as one. */
export interface FramePair {
  /** 8-bit RGB, `[1 or 2, height, width, 3]`: one frame stands for two of it. */
  readonly rgb: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** The tokens that a frame pair became, in a sequence: rows times columns of them, one row behind the other. */
export interface VisualRun {
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
}

/** How pictures are cut up. */
export interface PatchGrid {
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** Patches along the side of a block that becomes one token. */
  readonly mergeSize: number;
  /** Rows and columns of the learned position table. */
  readonly tableSide: number;
}

/** Names of the axes of a vision tower's batch: patches, tokens that they become, attention tiles, words of pixels. */
export const visualAxes = { patches: 'P', merged: 'M', tiles: 'N', words: 'B' } as const;

/** What the host writes for a batch of frame pairs. */
export interface VisualInputs {
  /** u32 [B]: bytes of all frames */
  readonly pixels: Tensor;
  /** u32 [P, 4]: where each patch's pixels lie (src/ops/patchify.ts) */
  readonly patches: Tensor;
  /** u32 [P, 4] and f32 [P, 4]: rows of the position table, and what each weighs */
  readonly tableRows: Tensor;
  readonly tableWeights: Tensor;
  /** u32 [P, 2]: row and column of each patch */
  readonly positions: Tensor;
  /** u32 [N, 8]: attention tiles, each within its frame */
  readonly tiles: Tensor;
}

export function declareVisualInputs(graph: Graph): VisualInputs {
  const { patches, tiles, words } = visualAxes;
  return {
    pixels: graph.input('pixels', 'u32', [words]),
    patches: graph.input('patches', 'u32', [patches, 4]),
    tableRows: graph.input('tableRows', 'u32', [patches, 4]),
    tableWeights: graph.input('tableWeights', 'f32', [patches, 4]),
    positions: graph.input('positions', 'u32', [patches, 2]),
    tiles: graph.input('tiles', 'u32', [tiles, tileWords]),
  };
}

/** Largest value of every axis for so many patches. @param patches a multiple of the patches of a token */
export function visualCapacity(patches: number, { patchSize, mergeSize }: PatchGrid, tileRows: number): Sizes {
  const merged = patches / mergeSize ** 2;
  // A frame has at least one token, and at most one tile that is not full.
  return { P: patches, M: merged, N: Math.ceil(patches / tileRows) + merged, B: (patches * patchSize ** 2 * 6) / 4 };
}

/**
 * Lays frame pairs one behind the other. The patches of a token follow each other: block row, block column, row, column.
 * @param frames sides are multiples of patchSize · mergeSize
 */
export function layOutFrames(frames: readonly FramePair[], grid: PatchGrid, tileRows: number): HostBatch {
  const { patchSize, mergeSize } = grid;
  const patchesOf = ({ height, width }: FramePair) => (height / patchSize) * (width / patchSize);
  const patches = frames.reduce((sum, frame) => sum + patchesOf(frame), 0);
  const bytes = frames.reduce((sum, { rgb }) => sum + rgb.length, 0);
  const pixels = new Uint8Array(Math.ceil(bytes / 4) * 4);
  const inputs = {
    pixels: new Uint32Array(pixels.buffer),
    patches: new Uint32Array(4 * patches),
    tableRows: new Uint32Array(4 * patches),
    tableWeights: new Float32Array(4 * patches),
    positions: new Uint32Array(2 * patches),
  };
  const tiles: AttentionTile[] = [];
  let patch = 0;
  let byte = 0;
  for (const frame of frames) {
    const { rgb, height, width } = frame;
    pixels.set(rgb, byte);
    const second = rgb.length === 2 * height * width * 3 ? byte + rgb.length / 2 : byte;
    const [rows, columns] = [height / patchSize, width / patchSize];
    const vertical = tableTaps(rows, grid.tableSide);
    const horizontal = tableTaps(columns, grid.tableSide);
    const first = patch;
    for (let i = 0; i < rows * columns; i++, patch++) {
      const { row, column } = place(i, columns / mergeSize, mergeSize);
      const corner = (row * patchSize * width + column * patchSize) * 3;
      inputs.patches.set([byte + corner, second + corner, width * 3, 0], 4 * patch);
      inputs.positions.set([row, column], 2 * patch);
      for (let tap = 0; tap < 4; tap++) {
        const [y, x] = [vertical[row]![tap >> 1]!, horizontal[column]![tap & 1]!];
        inputs.tableRows[4 * patch + tap] = y.index * grid.tableSide + x.index;
        inputs.tableWeights[4 * patch + tap] = y.weight * x.weight;
      }
    }
    const keys = rows * columns;
    for (let i = 0; i < keys; i += tileRows) {
      const sees = { keys, horizon: seesAll, prefixRow: first, prefix: 0, ownRow: first };
      tiles.push({ first: first + i, rows: Math.min(tileRows, keys - i), ...sees });
    }
    byte += rgb.length;
  }
  return {
    sizes: { P: patches, M: patches / mergeSize ** 2, N: tiles.length, B: inputs.pixels.length },
    inputs: { ...inputs, tiles: packTiles(tiles) },
  };
}

/** Row and column of a frame's patch number `i`, whose blocks lie `blockColumns` to a row. */
function place(i: number, blockColumns: number, mergeSize: number) {
  const block = Math.floor(i / mergeSize ** 2);
  return {
    row: Math.floor(block / blockColumns) * mergeSize + (Math.floor(i / mergeSize) % mergeSize),
    column: (block % blockColumns) * mergeSize + (i % mergeSize),
  };
}

interface Tap {
  readonly index: number;
  readonly weight: number;
}

/**
 * The two places of a learned axis that each of `size` evenly spread places lies between, the ends on the ends.
 * source: transformers 5.18 `get_vision_interpolation_indices_and_weights`, bilinear with aligned corners, in f32
 */
function tableTaps(size: number, side: number): readonly (readonly [Tap, Tap])[] {
  return Array.from({ length: size }, (_, i) => {
    const at = Math.fround((i * (side - 1)) / Math.max(size - 1, 1));
    const index = Math.floor(at);
    const fraction = Math.fround(at - index);
    return [
      { index, weight: Math.fround(1 - fraction) },
      // As the reference rounds it: one less the distance to the next place.
      { index: Math.min(index + 1, side - 1), weight: Math.fround(1 - Math.fround(1 - fraction)) },
    ];
  });
}
