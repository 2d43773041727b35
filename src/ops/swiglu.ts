import { WgrankError } from '../errors.ts';
import { foldGroups, type Graph } from '../graph/graph.ts';
import { fixed, match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

/**
 * silu(gate) * up, the two halves of each row (shaders/swiglu.wgsl).
 * @param x f32 [R, 2F], a row's gate before its up
 * @returns f32 [R, F]
 */
export function swiglu(graph: Graph, x: Tensor): Tensor {
  const { R, G } = match<'R' | 'G'>('swiglu', { x: [x, 'R', 'G'] });
  const columns = halfOf(fixed('swiglu', 'G', G));
  const out = graph.intermediate(`swiglu(${x.name})`, 'f32', [R, columns]);
  graph.launch({
    op: 'swiglu',
    shader: { file: 'swiglu.wgsl' },
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', columns / 4],
    ],
    bindings: [x, out],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(R, sizes) * columns) / 4 / 64)),
  });
  return out;
}

function halfOf(columns: number): number {
  if (columns % 8 === 0) return columns / 2;
  throw new WgrankError(
    'shape-mismatch',
    'swiglu',
    `rows of x are ${columns} (gate and up, read four elements at a time: expected a multiple of 8)`,
  );
}
