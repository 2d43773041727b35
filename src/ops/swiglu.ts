import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/**
 * silu(gate) * up (shaders/swiglu.wgsl).
 * @param gate f32 [R, F]
 * @param up   f32 [R, F]
 * @returns f32 [R, F]
 */
export function swiglu(graph: Graph, gate: Tensor, up: Tensor): Tensor {
  const { R, F } = match<'R' | 'F'>('swiglu', { gate: [gate, 'R', 'F'], up: [up, 'R', 'F'] });
  const columns = multipleOfFour('swiglu', 'F', F);
  const out = graph.intermediate(`swiglu(${gate.name}, ${up.name})`, 'f32', [R, columns]);
  graph.launch({
    op: 'swiglu',
    shader: { file: 'swiglu.wgsl' },
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', columns / 4],
    ],
    bindings: [gate, up, out],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(R, sizes) * columns) / 4 / 64)),
  });
  return out;
}
