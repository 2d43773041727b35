import { foldGroups, type Graph } from '../graph/graph.ts';
import { fixed, match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { multipleOfFour } from './multiple-of-four.ts';

/** What is added by position: nothing (rotary models), or learned rows and one token-type row (BERT family). */
export type Positional =
  | { readonly kind: 'none' }
  | { readonly kind: 'learned'; readonly positions: Tensor; readonly table: Tensor; readonly tokenType: Tensor };

/**
 * Gathers table rows by token id and adds what belongs to the position (shaders/embedding.wgsl).
 * @param ids    u32 [T], each below the sum of the parts' rows
 * @param parts  the vocabulary table [V, C], cut by rows so that each part fits one binding
 * @returns f32 [T, C]
 */
export function embedding(graph: Graph, ids: Tensor, parts: readonly Tensor[], positional: Positional): Tensor {
  const learned = positional.kind === 'learned' ? positional : undefined;
  const [first] = parts;
  if (!first) throw new RangeError('embedding needs at least one part of the table');
  const { T, C } = match<'T' | 'C'>('embedding', {
    ids: [ids, 'T'],
    table: [first, 'V', 'C'],
    ...(learned && {
      positions: [learned.positions, 'T'] as const,
      positionTable: [learned.table, 'P', 'C'] as const,
      tokenType: [learned.tokenType, 'C'] as const,
    }),
  });
  const columns = multipleOfFour('embedding', 'C', C);
  const out = graph.intermediate('embedding', 'f32', [T, columns]);
  let firstRow = 0;
  for (const part of parts) {
    const { V } = match<'V'>('embedding', { table: [part, 'V', 'C'], first: [first, '…', 'C'] });
    const rows = fixed('embedding', 'V', V);
    graph.launch({
      op: 'embedding',
      shader: { file: 'embedding.wgsl', link: [`unpack-${part.dtype}.wgsl`, `position-${positional.kind}.wgsl`] },
      params: [
        ['u', (sizes) => sizeOf(T, sizes)],
        ['u', columns / 4],
        ['u', firstRow],
        ['u', rows],
      ],
      bindings: [ids, part, out, ...(learned ? [learned.positions, learned.table, learned.tokenType] : [])],
      writes: [out],
      groups: (sizes) => foldGroups(Math.ceil((sizeOf(T, sizes) * columns) / 4 / 64)),
    });
    firstRow += rows;
  }
  return out;
}
