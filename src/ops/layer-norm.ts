import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/**
 * Normalises each row to zero mean and unit variance, then scales and shifts (shaders/layer-norm.wgsl).
 * @param x      f32 [R, C]
 * @param weight f32 [C]
 * @param bias   f32 [C]
 * @param eps    added to the variance
 * @returns f32 [R, C]
 */
export function layerNorm(graph: Graph, x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  const { R, C } = match<'R' | 'C'>('layerNorm', { x: [x, 'R', 'C'], weight: [weight, 'C'], bias: [bias, 'C'] });
  const columns = multipleOfFour('layerNorm', 'C', C);
  const out = graph.intermediate(`layerNorm(${x.name})`, 'f32', [R, columns]);
  graph.launch({
    op: 'layer-norm',
    shader: { file: 'layer-norm.wgsl', link: ['workgroup-sum.wgsl'] },
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', columns / 4],
      ['f', eps],
    ],
    bindings: [x, weight, bias, out],
    writes: [out],
    groups: (sizes) => foldGroups(sizeOf(R, sizes)),
  });
  return out;
}
