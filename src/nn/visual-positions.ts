import type { VisualRun } from './visual-batch.ts';

/**
 * Positions of three axes (time, row, column) for a sequence with pictures in it. A text token takes the same number on all three
 * and counts on; a frame's tokens begin at the number that comes next and count rows and columns from it, and what follows goes on
 * behind the longer side.
 * @param length tokens of the sequence
 * @param runs   frames in order, none overlapping
 * @returns [length, 3]
 * source: Qwen2-VL (arXiv 2409.12191) M-RoPE, transformers 5.18 `Qwen3VLModel.get_rope_index`: every frame of a clip is a picture
 */
export function visualPositions(length: number, runs: readonly VisualRun[]): Uint32Array {
  const positions = new Uint32Array(3 * length);
  let token = 0;
  let next = 0;
  const text = (end: number) => {
    for (; token < end; token++, next++) positions.fill(next, 3 * token, 3 * token + 3);
  };
  for (const { at, rows, columns } of runs) {
    text(at);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, token++) {
        positions.set([next, next + row, next + column], 3 * token);
      }
    }
    next += Math.max(rows, columns);
  }
  text(length);
  return positions;
}
