import type { KernelTraits } from '../gpu/gpu.ts';
import type { ShaderSpec } from '../gpu/shader.ts';
import type { Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { epilogueBindings, epilogueContract, epilogueFiles, type Epilogue } from './epilogue.ts';
import { multipleOfFour } from './multiple-of-four.ts';

export interface MatmulVariant {
  readonly file: string;
  /** Rows and columns of the output that one workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** Lanes of a subgroup that the kernel is written for; absent: any, or none. */
  readonly subgroupSize?: number;
}

/** Every shape of the kernel that tests and benches walk. */
export const matmulVariants = {
  subgroup: { file: 'matmul.subgroup.wgsl', rows: 24, columns: 32, subgroupSize: 8 },
  rows: { file: 'matmul.wgsl', rows: 8, columns: 32 },
  tiled: { file: 'matmul.tiled.wgsl', rows: 64, columns: 64 },
} as const satisfies Record<string, MatmulVariant>;

export type MatmulVariantName = keyof typeof matmulVariants;

/** Whether an adapter can run a variant. */
export function runsMatmul(name: MatmulVariantName, { subgroupSize }: KernelTraits): boolean {
  const variant: MatmulVariant = matmulVariants[name];
  return variant.subgroupSize === undefined || variant.subgroupSize === subgroupSize;
}

/**
 * The variant for an adapter. GPUs: tiles through workgroup memory. CPU rasterisers compute from registers: with rows shared
 * by shuffles on lavapipe, where that is three times as fast. One variant for all row counts, so that a row's
 * bits never depend on how many rows share its batch.
 */
export function chooseMatmul(traits: KernelTraits): MatmulVariantName {
  if (!traits.software) return 'tiled';
  return runsMatmul('subgroup', traits) ? 'subgroup' : 'rows';
}

/**
 * x · weightᵀ, then an epilogue (shaders/matmul.wgsl).
 * @param x      f32 [R, K]
 * @param weight f32, f16 or bf16 [N, K]
 * @returns f32 [R, N]
 */
export function matmul(
  graph: Graph,
  variant: MatmulVariantName,
  x: Tensor,
  weight: Tensor,
  epilogue: Epilogue,
): Tensor {
  const contract = { x: [x, 'R', 'K'], weight: [weight, 'N', 'K'], ...epilogueContract(epilogue, 'R') } as const;
  const { R, N, K } = match<'R' | 'N' | 'K'>('matmul', contract);
  const [n, k] = [multipleOfFour('matmul', 'N', N), multipleOfFour('matmul', 'K', K)];
  const tile: MatmulVariant = matmulVariants[variant];
  const shader: ShaderSpec = {
    file: tile.file,
    link: [`unpack-${weight.dtype}.wgsl`, ...epilogueFiles(epilogue)],
  };
  // Not the input's name: with both halves of a gated layer, names would double with every layer.
  const out = graph.intermediate(`matmul(${weight.name})`, 'f32', [R, n]);
  graph.launch({
    op: 'matmul',
    shader,
    params: [
      ['u', (sizes) => sizeOf(R, sizes)],
      ['u', k / 4],
      ['u', n / 4],
    ],
    bindings: [x, weight, out, ...epilogueBindings(epilogue)],
    writes: [out],
    groups: (sizes) => [Math.ceil(sizeOf(R, sizes) / tile.rows), Math.ceil(n / tile.columns), 1],
  });
  return out;
}
