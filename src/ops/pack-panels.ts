import type { ShaderSpec } from '../gpu/shader.ts';

/** The program that packs rows of a weight into panels (shaders/pack-panels.wgsl). */
export function packPanelsShader(half: boolean): ShaderSpec {
  return { file: 'pack-panels.wgsl', set: { HALF: String(half) } };
}

/** 32-bit words that a slice of `rows` x `k` becomes, and so the threads that pack it. */
export function packedWords(rows: number, k: number, half: boolean): number {
  return Math.ceil(rows / 32) * (half ? 16 : 32) * k;
}
