import { WgrankError } from '../errors.ts';
import { foldGroups, type Graph } from '../graph/graph.ts';
import { match } from '../tensor/match.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

/** How pictures are cut and normalised. */
export interface PatchFormat {
  /** Pixels along each side of a patch, a multiple of 4. */
  readonly patchSize: number;
  /** Frames of a patch: 1 or 2. */
  readonly temporalPatchSize: number;
  /** Of red, green and blue, in units of 0 … 255. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Words of one patch in the list of patches. */
export const patchWords = 4;

/**
 * Cuts 8-bit RGB into rows of normalised values, one row per patch (shaders/patchify.wgsl).
 * @param pixels  u32 [B], rows of RGB bytes, four to a word with the first one lowest; all bytes of a patch lie within B words
 * @param patches u32 [P, 4], byte offsets of the patch's first pixel in its first and its second frame (the same one twice for a
 *                picture), bytes from one row of pixels to the next, unused
 * @returns f32 [P, 3 * temporalPatchSize * patchSize * patchSize], (byte - mean) / std: channel, frame, row, column
 * @throws WgrankError `shape-mismatch`, or `config-invalid` for numbers that make no patch
 */
export function patchify(graph: Graph, pixels: Tensor, patches: Tensor, format: PatchFormat): Tensor {
  const { P, A } = match<'P' | 'A'>('patchify', { pixels: [pixels, 'B'], patches: [patches, 'P', 'A'] });
  if (A !== patchWords) throw refused('shape-mismatch', `a patch has ${A} words (expected ${patchWords})`);
  const { patchSize, temporalPatchSize: frames, mean, std } = usable(format);
  const threads = (frames * patchSize * patchSize) / 4;
  const out = graph.intermediate('patchify', 'f32', [P, 12 * threads]);
  graph.launch({
    op: 'patchify',
    shader: { file: 'patchify.wgsl' },
    overrides: { SIDE: patchSize, FRAMES: frames },
    params: [['u', (sizes) => sizeOf(P, sizes)], ...[...mean, ...std].map((value) => ['f', value] as const)],
    bindings: [pixels, patches, out],
    writes: [out],
    groups: (sizes) => foldGroups(Math.ceil((sizeOf(P, sizes) * threads) / 64)),
  });
  return out;
}

function usable(format: PatchFormat): PatchFormat {
  const { patchSize, temporalPatchSize, mean, std } = format;
  if (!Number.isInteger(patchSize) || patchSize < 4 || patchSize % 4 !== 0) {
    throw refused('config-invalid', `patches are ${patchSize} pixels wide (expected a multiple of 4)`);
  }
  if (temporalPatchSize !== 1 && temporalPatchSize !== 2) {
    throw refused('config-invalid', `patches have ${temporalPatchSize} frames (expected 1 or 2)`);
  }
  if (!mean.every(Number.isFinite) || !std.every((value) => Number.isFinite(value) && value > 0)) {
    throw refused('config-invalid', `mean is ${mean.join(', ')}, std ${std.join(', ')} (expected std above 0)`);
  }
  return format;
}

const refused = (code: 'shape-mismatch' | 'config-invalid', detail: string) =>
  new WgrankError(code, 'patchify', detail);
