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

/** Which of a token's positions turns which of the D/2 frequencies. */
export type RotaryAxes =
  /** One position for all of them. */
  | { readonly kind: 'one' }
  /**
   * Time, height and width in turn, as long as the sections of height and width last: frequency i belongs to height where i % 3
   * is 1 and i < 3 sections[1], to width where i % 3 is 2 and i < 3 sections[2], to time elsewhere.
   * @param sections frequencies of each axis, D/2 together
   */
  | { readonly kind: 'interleaved'; readonly sections: readonly [time: number, height: number, width: number] }
  /** The row for the first half of the frequencies, the column for the second; rows of the table hold the same ones twice. */
  | { readonly kind: 'row-column' };

export const rotaryAxesKinds = ['one', 'interleaved', 'row-column'] as const;

/** Positions of a token. */
const axisCount = { one: 1, interleaved: 3, 'row-column': 2 } as const;

/**
 * Turns the halves of each head by the token's position or positions (shaders/rope.wgsl).
 * @param x         f32 [T, heads * D]
 * @param positions u32 [T], or [T, 3] (time, height, width) or [T, 2] (row, column) where `axes` says so; each below P
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
  axes: RotaryAxes = { kind: 'one' },
): Tensor {
  const { T, C, D, A } = match<'T' | 'C' | 'D' | 'A'>('rope', {
    x: [x, 'T', 'C'],
    positions: axes.kind === 'one' ? [positions, 'T'] : [positions, 'T', 'A'],
    table: [table, 'P', 'D'],
    ...(norm.kind === 'rms' && { weight: [norm.weight, 'D'] as const }),
  });
  const size = headSize(fixed('rope', 'D', D), fixed('rope', 'C', C), heads, rotated);
  if (axes.kind !== 'one' && A !== axisCount[axes.kind]) {
    throw refused(`a token has ${A} positions (expected ${axisCount[axes.kind]} for ${axes.kind} axes)`);
  }
  const [, height, width] = axes.kind === 'interleaved' ? usableSections(axes.sections, size) : [0, 0, 0];
  const out = graph.intermediate(`rope(${x.name})`, 'f32', [T, heads * size]);
  graph.launch({
    op: 'rope',
    shader: { file: 'rope.wgsl', link: [`head-norm-${norm.kind}.wgsl`, `axes-${axes.kind}.wgsl`] },
    params: [
      ['u', (sizes) => sizeOf(T, sizes)],
      ['u', heads],
      ['u', size / 8],
      ['u', rotated],
      ['f', norm.kind === 'rms' ? usableEps('rope', norm.eps) : 0],
      ['u', 3 * height],
      ['u', 3 * width],
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

function usableSections(sections: readonly [number, number, number], size: number): readonly [number, number, number] {
  const sum = sections.reduce((total, section) => total + section, 0);
  if (sections.some((section) => !Number.isInteger(section) || section < 0) || sum !== size / 2) {
    throw refused(`sections are ${sections.join(', ')} (expected whole numbers that add up to D/2, ${size / 2})`);
  }
  return sections;
}

const refused = (detail: string) => new WgrankError('shape-mismatch', 'rope', detail);
