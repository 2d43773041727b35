import { WgrankError } from '../errors.ts';
import type { KernelTraits } from '../gpu/gpu.ts';
import type { Graph } from '../graph/graph.ts';
import { fixed, match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

export interface AttentionVariant {
  readonly file: string;
  /** Threads of a workgroup, and query rows of each. */
  readonly lanes: number;
  readonly queries: number;
  /** Whether the head size is a constant of the program (rows in registers) or a parameter. */
  readonly fixedHead: boolean;
}

/** Every shape of the kernel that tests and benches walk. */
export const attentionVariants = {
  blocked: { file: 'attention.blocked.wgsl', lanes: 8, queries: 2, fixedHead: false },
  registers: { file: 'attention.wgsl', lanes: 64, queries: 1, fixedHead: true },
} as const satisfies Record<string, AttentionVariant>;

export type AttentionVariantName = keyof typeof attentionVariants;

/**
 * The variant for an adapter. On lavapipe rows in registers cost ten seconds of compilation and run at a fifth of the
 * speed of the blocked form; GPUs keep a row per thread.
 */
export function chooseAttention(traits: KernelTraits): AttentionVariantName {
  return traits.software ? 'blocked' : 'registers';
}

/** Query rows of one tile at the most. */
export function tileRows(variant: AttentionVariantName): number {
  return attentionVariants[variant].lanes * attentionVariants[variant].queries;
}

/**
 * Softmax attention of query rows over the keys of their own sequence (shaders/attention.wgsl).
 * @param query    f32 [Q, H·D]
 * @param keyValue f32 [T, 2·H·D], keys then values
 * @param tiles    u32 [N, 4], rows of (first query row, rows ≤ tileRows, first key, end of keys); no range is empty
 * @param heads    H; D must be a multiple of 4 and at most 256
 * @param scale    factor of the scores, usually D^-½
 * @returns f32 [Q, H·D]
 */
export function attention(
  graph: Graph,
  variant: AttentionVariantName,
  query: Tensor,
  keyValue: Tensor,
  tiles: Tensor,
  heads: number,
  scale: number,
): Tensor {
  const { Q, C, N, twice } = match<'Q' | 'C' | 'N' | 'twice'>('attention', {
    query: [query, 'Q', 'C'],
    keyValue: [keyValue, 'T', 'twice'],
    tiles: [tiles, 'N', 'four'],
  });
  const width = fixed('attention', 'C', C);
  const headSize = width / heads;
  if (twice !== 2 * width || headSize % 4 !== 0 || headSize > 256) {
    throw new WgrankError(
      'shape-mismatch',
      'attention',
      `query is ${width} wide, keyValue ${twice}, heads ${heads} (expected keyValue twice the query, and heads of a multiple of 4 up to 256)`,
    );
  }
  const { file, lanes, queries, fixedHead }: AttentionVariant = attentionVariants[variant];
  const set = fixedHead
    ? { HEAD4: `${headSize / 4}u`, LANES: `${lanes}u`, QUERIES: `${queries}u` }
    : { QUERIES: `${queries}u` };
  const out = graph.intermediate(`attention(${query.name})`, 'f32', [Q, width]);
  graph.launch({
    op: 'attention',
    shader: { file, set },
    params: fixedHead
      ? [
          ['u', heads],
          ['f', scale],
        ]
      : [
          ['u', heads],
          ['u', headSize / 4],
          ['f', scale],
        ],
    bindings: [query, keyValue, tiles, out],
    writes: [out],
    groups: (sizes) => [sizeOf(N, sizes), heads, 1],
  });
  return out;
}
