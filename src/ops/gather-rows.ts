import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/**
 * Picks rows of a matrix (shaders/gather-rows.wgsl).
 * @param x    f32 [T, C]
 * @param rows u32 [S], each below T
 * @returns f32 [S, C]
 */
export function gatherRows(graph: Graph, x: Tensor, rows: Tensor): Tensor {
  const { S, C } = match<'S' | 'C'>('gatherRows', { x: [x, 'T', 'C'], rows: [rows, 'S'] });
  const columns = multipleOfFour('gatherRows', 'C', C);
  const out = graph.intermediate(`gatherRows(${x.name})`, 'f32', [S, columns]);
  graph.launch({
    op: 'gather-rows',
    shader: { file: 'gather-rows.wgsl' },
    params: [
      ['u', (sizes) => sizeOf(S, sizes)],
      ['u', columns / 4],
    ],
    bindings: [x, rows, out],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(S, sizes) * columns) / 4 / 64)),
  });
  return out;
}
