import { WgrankError } from '../errors.ts';
import type { KernelTraits } from '../gpu/gpu.ts';
import type { Graph } from '../graph/graph.ts';
import { fixed, match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

export interface AttentionVariant {
  readonly file: string;
  /** Files in `shaders/lib/` that it calls. */
  readonly link: readonly string[];
  /** Threads of a workgroup, and query rows of each. */
  readonly lanes: number;
  readonly queries: number;
  /** Whether the head size is a constant of the program (rows in registers) or a parameter. */
  readonly fixedHead: boolean;
  /** Lanes of a subgroup that the kernel is written for; absent: any, or none. */
  readonly subgroupSize?: number;
}

const [tileFile, weightsFile] = ['attention-tile.wgsl', 'attention-weights.wgsl'];
const byBlocks = { link: [tileFile, weightsFile], lanes: 8, queries: 2, fixedHead: false } as const;

/** Every shape of the kernel that tests and benches walk. */
export const attentionVariants = {
  subgroup: { file: 'attention.subgroup.wgsl', ...byBlocks, subgroupSize: 8 },
  blocked: { file: 'attention.blocked.wgsl', ...byBlocks },
  registers: { file: 'attention.wgsl', link: [tileFile], lanes: 64, queries: 1, fixedHead: true },
} as const satisfies Record<string, AttentionVariant>;

export type AttentionVariantName = keyof typeof attentionVariants;

/** Whether an adapter can run a variant. */
export function runsAttention(name: AttentionVariantName, { subgroupSize }: KernelTraits): boolean {
  const variant: AttentionVariant = attentionVariants[name];
  return variant.subgroupSize === undefined || variant.subgroupSize === subgroupSize;
}

/**
 * The variant for an adapter. GPUs keep a row per thread. On lavapipe rows in registers cost ten seconds of compilation and
 * run at half the speed of the blocked form at most, which is five times as fast again where lanes can share what they load.
 */
export function chooseAttention(traits: KernelTraits): AttentionVariantName {
  if (!traits.software) return 'registers';
  return runsAttention('subgroup', traits) ? 'subgroup' : 'blocked';
}

/** Query rows of one tile at the most. */
export function tileRows(variant: AttentionVariantName): number {
  return attentionVariants[variant].lanes * attentionVariants[variant].queries;
}

/** A horizon beyond every key: all rows of the tile see all its keys. */
export const seesAll = 2 ** 30;

/**
 * Query rows of one sequence, and what they see of it. Keys count by their position in the sequence: the first `prefix` ones lie
 * in rows prefixRow … of keyValue, perhaps shared with other sequences, the others in rows ownRow ….
 */
export interface AttentionTile {
  /** First query row, and how many: at most `tileRows`. */
  readonly first: number;
  readonly rows: number;
  /** Positions that any of the rows may see: 0 … keys-1, and at least one. */
  readonly keys: number;
  /** Row first + i sees the positions up to horizon + i: causal where it is the position of the first row. */
  readonly horizon: number;
  readonly prefixRow: number;
  readonly prefix: number;
  readonly ownRow: number;
}

/** Words of a tile as the kernels read it (shaders/lib/attention-tile.wgsl). */
export const tileWords = 8;

/** @returns u32 [N, tileWords] */
export function packTiles(tiles: readonly AttentionTile[]): Uint32Array {
  const words = new Uint32Array(tiles.length * tileWords);
  tiles.forEach(({ first, rows, keys, horizon, prefixRow, prefix, ownRow }, n) => {
    words.set([first, rows, keys, horizon, prefixRow, prefix, ownRow], n * tileWords);
  });
  return words;
}

export interface AttentionHeads {
  /** H, heads of the query. */
  readonly heads: number;
  /** G, heads of keys and values, which H is a multiple of: query head h reads head h / (H/G). */
  readonly kvHeads: number;
  /** Factor of the scores, usually D^-½. */
  readonly scale: number;
}

/**
 * Softmax attention of query rows over the keys of their own sequence (shaders/attention.wgsl). A row's bits depend on what it
 * sees, and not on the tile that it is in nor on where its keys lie.
 * @param query    f32 [Q, H·D]; D a multiple of 4 and at most 256
 * @param keyValue f32 [T, 2·G·D], keys then values
 * @param tiles    u32 [N, 8] of `packTiles`
 * @returns f32 [Q, H·D]
 * @throws WgrankError `shape-mismatch`
 */
export function attention(
  graph: Graph,
  variant: AttentionVariantName,
  query: Tensor,
  keyValue: Tensor,
  tiles: Tensor,
  { heads, kvHeads, scale }: AttentionHeads,
): Tensor {
  const { Q, C, N, kv, words } = match<'Q' | 'C' | 'N' | 'kv' | 'words'>('attention', {
    query: [query, 'Q', 'C'],
    keyValue: [keyValue, 'T', 'kv'],
    tiles: [tiles, 'N', 'words'],
  });
  const width = fixed('attention', 'C', C);
  const headSize = width / heads;
  if (headSize % 4 !== 0 || headSize > 256 || heads % kvHeads !== 0 || kv !== 2 * kvHeads * headSize) {
    throw new WgrankError(
      'shape-mismatch',
      'attention',
      `query is ${width} wide, keyValue ${kv}, heads ${heads}, kvHeads ${kvHeads} (expected heads of a multiple of 4 up to 256, ` +
        'a multiple of kvHeads of them, and keyValue twice kvHeads times as wide as one)',
    );
  }
  if (words !== tileWords) {
    throw new WgrankError('shape-mismatch', 'attention', `tiles are ${words} words (expected [N, ${tileWords}])`);
  }
  const { file, link, lanes, queries, fixedHead }: AttentionVariant = attentionVariants[variant];
  const set = fixedHead
    ? { HEAD4: `${headSize / 4}u`, LANES: `${lanes}u`, QUERIES: `${queries}u` }
    : { QUERIES: `${queries}u` };
  const out = graph.intermediate(`attention(${query.name})`, 'f32', [Q, width]);
  graph.launch({
    op: 'attention',
    shader: { file, set, link },
    params: [['u', heads], ['u', kvHeads], ...(fixedHead ? [] : [['u', headSize / 4] as const]), ['f', scale]],
    bindings: [query, keyValue, tiles, out],
    writes: [out],
    groups: (sizes) => [sizeOf(N, sizes), heads, 1],
  });
  return out;
}
