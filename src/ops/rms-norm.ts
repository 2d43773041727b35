import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';
import { usableEps } from './usable-eps.ts';

/**
 * Divides each row by its root mean square, then scales (shaders/rms-norm.wgsl).
 * @param x      f32 [R, C]
 * @param weight f32 [C]
 * @param eps    added to the mean square; at least 1e-12
 * @returns f32 [R, C]
 */
export function rmsNorm(graph: Graph, x: Tensor, weight: Tensor, eps: number): Tensor {
  const { R, C } = match<'R' | 'C'>('rmsNorm', { x: [x, 'R', 'C'], weight: [weight, 'C'] });
  const columns = multipleOfFour('rmsNorm', 'C', C);
  const out = graph.intermediate(`rmsNorm(${x.name})`, 'f32', [R, columns]);
  graph.launch({
    op: 'rms-norm',
    shader: { file: 'rms-norm.wgsl', link: ['workgroup-sum.wgsl'] },
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', columns / 4],
      ['f', usableEps('rmsNorm', eps)],
    ],
    bindings: [x, weight, out],
    writes: [out],
    groups: (sizes) => foldGroups(sizeOf(R, sizes)),
  });
  return out;
}
