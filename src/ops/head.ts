import type { Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/**
 * One raw logit per row: the product with a single vector (shaders/head.wgsl).
 * @param x      f32 [S, C]
 * @param weight f32 [C]
 * @param bias   f32 [1]
 * @returns f32 [S]
 */
export function head(graph: Graph, x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const { S, C } = match<'S' | 'C'>('head', { x: [x, 'S', 'C'], weight: [weight, 'C'], bias: [bias, 'one'] });
  const columns = multipleOfFour('head', 'C', C);
  const out = graph.intermediate('logits', 'f32', [S]);
  graph.launch({
    op: 'head',
    shader: { file: 'head.wgsl' },
    params: [
      ['u', (sizes) => sizeOf(S, sizes)],
      ['u', columns / 4],
    ],
    bindings: [x, weight, bias, out],
    writes: [out],
    groups: (sizes) => [Math.ceil(sizeOf(S, sizes) / 64), 1, 1],
  });
  return out;
}
