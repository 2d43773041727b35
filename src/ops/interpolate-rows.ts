import { WgrankError } from '../errors.ts';
import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/** Rows of the table that meet in one row. */
export const interpolatedRows = 4;

/**
 * x + a weighted sum of four rows of a table, added up in the order in which they are listed (shaders/interpolate-rows.wgsl).
 * @param x       f32 [R, C]
 * @param rows    u32 [R, 4], each below V
 * @param weights f32 [R, 4], a graph input
 * @param table   [V, C], within one binding
 * @returns f32 [R, C]
 */
export function interpolateRows(graph: Graph, x: Tensor, rows: Tensor, weights: Tensor, table: Tensor): Tensor {
  const { R, C, K } = match<'R' | 'C' | 'K'>('interpolateRows', {
    x: [x, 'R', 'C'],
    rows: [rows, 'R', 'K'],
    weights: [weights, 'R', 'K'],
    table: [table, 'V', 'C'],
  });
  const columns = multipleOfFour('interpolateRows', 'C', C);
  if (K !== interpolatedRows) {
    throw new WgrankError('shape-mismatch', 'interpolateRows', `${K} rows are added (expected ${interpolatedRows})`);
  }
  const out = graph.intermediate(`interpolateRows(${x.name})`, 'f32', [R, columns]);
  graph.launch({
    op: 'interpolate-rows',
    shader: { file: 'interpolate-rows.wgsl', link: [`unpack-${table.dtype}.wgsl`] },
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', columns / 4],
    ],
    bindings: [x, rows, weights, table, out],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(R, sizes) * columns) / 4 / 64)),
  });
  return out;
}
