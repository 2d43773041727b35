import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

export const injectModes = ['replace', 'add'] as const;

/** What becomes of a row that another one is named for. */
export type InjectMode = (typeof injectModes)[number];

/** In the list of rows: nothing is injected here. */
export const noRow = 0xffffffff;

/**
 * Puts rows of another matrix in the place of some rows, or adds them there (shaders/inject-rows.wgsl).
 * @param x      f32 [T, C]
 * @param rows   u32 [T], each below V or `noRow`
 * @param source f32 [V, C]; no intermediate, for its buffer is bound for reading only
 * @returns f32 [T, C]
 */
export function injectRows(graph: Graph, x: Tensor, rows: Tensor, source: Tensor, mode: InjectMode): Tensor {
  const { T, C } = match<'T' | 'C'>('injectRows', {
    x: [x, 'T', 'C'],
    rows: [rows, 'T'],
    source: [source, 'V', 'C'],
  });
  const columns = multipleOfFour('injectRows', 'C', C);
  const out = graph.intermediate(`injectRows(${x.name})`, 'f32', [T, columns]);
  graph.launch({
    op: 'inject-rows',
    shader: { file: 'inject-rows.wgsl', link: [`inject-${mode}.wgsl`] },
    params: [
      ['u', (sizes) => sizeOf(T, sizes)],
      ['u', columns / 4],
    ],
    bindings: [x, rows, source, out],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(T, sizes) * columns) / 4 / 64)),
  });
  return out;
}
