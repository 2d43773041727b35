import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { epilogueBindings, epilogueContract, epilogueFiles, type Epilogue } from './epilogue.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/**
 * An epilogue as a pass of its own (shaders/elementwise.wgsl): what fused products must equal, bit for bit.
 * @param x f32 [R, N]
 * @returns f32 [R, N]
 */
export function elementwise(graph: Graph, x: Tensor, epilogue: Epilogue): Tensor {
  const { R, N } = match<'R' | 'N'>('elementwise', { x: [x, 'R', 'N'], ...epilogueContract(epilogue, 'R') });
  const n = multipleOfFour('elementwise', 'N', N);
  const out = graph.intermediate(`${epilogue.kind}(${x.name})`, 'f32', [R, n]);
  graph.launch({
    op: 'elementwise',
    shader: { file: 'elementwise.wgsl', link: epilogueFiles(epilogue) },
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', n / 4],
    ],
    bindings: [x, undefined, out, ...epilogueBindings(epilogue)],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(R, sizes) * n) / 4 / 64)),
  });
  return out;
}
