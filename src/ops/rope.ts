import { WgrankError } from '../errors.ts';
import { foldGroups, type Graph } from '../graph/graph.ts';
import { fixed, match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { usableEps } from './usable-eps.ts';

/** What happens to a head before it is turned: nothing, or RMSNorm with a weight of one head's size. */
export type HeadNorm =
  | { readonly kind: 'none' }
  /** @param weight f32 [D] @param eps added to the mean square; at least 1e-12 */
  | { readonly kind: 'rms'; readonly weight: Tensor; readonly eps: number };

export const headNormKinds = ['none', 'rms'] as const;

/**
 * Turns the halves of each head by the token's position (shaders/rope.wgsl).
 * @param x         f32 [T, heads * D]
 * @param positions u32 [T], each below P
 * @param table     f32 [P, D], a row's D/2 cosines before its D/2 sines; D a multiple of 8 up to 256
 * @param rotated   heads that are normed and turned, from the first on; others are copied
 * @returns f32 [T, heads * D]
 */
export function rope(
  graph: Graph,
  x: Tensor,
  positions: Tensor,
  table: Tensor,
  norm: HeadNorm,
  heads: number,
  rotated = heads,
): Tensor {
  const { T, C, D } = match<'T' | 'C' | 'D'>('rope', {
    x: [x, 'T', 'C'],
    positions: [positions, 'T'],
    table: [table, 'P', 'D'],
    ...(norm.kind === 'rms' && { weight: [norm.weight, 'D'] as const }),
  });
  const size = headSize(fixed('rope', 'D', D), fixed('rope', 'C', C), heads, rotated);
  const out = graph.intermediate(`rope(${x.name})`, 'f32', [T, heads * size]);
  graph.launch({
    op: 'rope',
    shader: { file: 'rope.wgsl', link: [`head-norm-${norm.kind}.wgsl`] },
    params: [
      ['u', (sizes) => sizeOf(T, sizes)],
      ['u', heads],
      ['u', size / 8],
      ['u', rotated],
      ['f', norm.kind === 'rms' ? usableEps('rope', norm.eps) : 0],
    ],
    bindings: [x, positions, table, out, ...(norm.kind === 'rms' ? [norm.weight] : [])],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(T, sizes) * heads) / 64)),
  });
  return out;
}

function headSize(size: number, columns: number, heads: number, rotated: number): number {
  if (size % 8 !== 0 || size > 256) {
    throw refused(`D is ${size} (halves are read four elements at a time: expected a multiple of 8 up to 256)`);
  }
  if (columns !== heads * size) {
    throw refused(`rows of x are ${columns} (expected ${heads} heads of ${size}: ${heads * size})`);
  }
  if (!Number.isInteger(rotated) || rotated < 0 || rotated > heads) {
    throw refused(`${rotated} heads are to be turned (expected 0 … ${heads})`);
  }
  return size;
}

const refused = (detail: string) => new WgrankError('shape-mismatch', 'rope', detail);
