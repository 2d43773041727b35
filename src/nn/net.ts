import type { BiasedLinear, Linear } from '../checkpoint/weights.ts';
import type { KernelTraits } from '../gpu/gpu.ts';
import type { Graph } from '../graph/graph.ts';
import { attention, chooseAttention, tileRows, type AttentionVariantName } from '../ops/attention.ts';
import { elementwise } from '../ops/elementwise.ts';
import { embedding, type Positional } from '../ops/embedding.ts';
import type { Epilogue } from '../ops/epilogue.ts';
import { gatherRows } from '../ops/gather-rows.ts';
import { head } from '../ops/head.ts';
import { injectRows, type InjectMode } from '../ops/inject-rows.ts';
import { interpolateRows } from '../ops/interpolate-rows.ts';
import { layerNorm } from '../ops/layer-norm.ts';
import { chooseMatmul, matmul, type MatmulVariantName } from '../ops/matmul.ts';
import { patchify, type PatchFormat } from '../ops/patchify.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { rope, type HeadNorm, type RotaryAxes } from '../ops/rope.ts';
import { swiglu } from '../ops/swiglu.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Scale and shift of a normalisation, with its epsilon. */
export interface Norm {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly eps: number;
}

/** Scale of a root-mean-square normalisation, with its epsilon. */
export interface RmsNorm {
  readonly weight: Tensor;
  readonly eps: number;
}

/** Cosines and sines by position `[P, D]`, the norm that heads get before they are turned, and which positions turn what. */
export interface Rotary {
  readonly table: Tensor;
  readonly norm: RmsNorm | undefined;
  readonly axes: RotaryAxes;
}

/** A single output row: weight `[C]`, bias `[1]`. */
export interface Head {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/**
 * The layers that models are written in. It knows which kernel variant the adapter wants and whether a product and what
 * follows it are one launch; the model file knows neither.
 */
export class Net {
  readonly graph: Graph;
  readonly #matmul: MatmulVariantName;
  readonly #attention: AttentionVariantName;
  readonly #traits: KernelTraits;
  readonly #fused: boolean;

  /** @param fused false runs every epilogue as a launch of its own: slower, and equal bit for bit */
  constructor(graph: Graph, traits: KernelTraits, fused = true) {
    this.graph = graph;
    this.#traits = traits;
    this.#matmul = chooseMatmul(traits);
    this.#attention = chooseAttention(traits);
    this.#fused = fused;
  }

  /** The same layers on another graph, one that runs before or after this one. */
  beside(graph: Graph): Net {
    return new Net(graph, this.#traits, this.#fused);
  }

  /** Query rows that one attention tile holds at the most. */
  get tileRows(): number {
    return tileRows(this.#attention);
  }

  /** Table rows by id plus what belongs to the position. [T] → [T, C] */
  embedding(ids: Tensor, table: readonly Tensor[], positional: Positional): Tensor {
    return embedding(this.graph, ids, table, positional);
  }

  /** x·Wᵀ, and + b where the layer has one. [R, K] → [R, N] */
  linear(x: Tensor, { weight, bias }: Linear): Tensor {
    return this.#product(x, weight, bias ? { kind: 'bias', bias } : { kind: 'none' });
  }

  /** GELU(x·Wᵀ + b), exact erf form. [R, K] → [R, N] */
  linearGelu(x: Tensor, { weight, bias }: BiasedLinear): Tensor {
    return this.#product(x, weight, { kind: 'bias-gelu', bias });
  }

  /** GELU(x·Wᵀ + b) by its tanh approximation. [R, K] → [R, N] */
  linearGeluTanh(x: Tensor, { weight, bias }: BiasedLinear): Tensor {
    return this.#product(x, weight, { kind: 'bias-gelu-tanh', bias });
  }

  /** tanh(x·Wᵀ + b). [R, K] → [R, N] */
  linearTanh(x: Tensor, { weight, bias }: BiasedLinear): Tensor {
    return this.#product(x, weight, { kind: 'bias-tanh', bias });
  }

  /** residual + x·Wᵀ, and + b where the layer has one. [R, K], [R, N] → [R, N] */
  linearAdd(x: Tensor, { weight, bias }: Linear, residual: Tensor): Tensor {
    return this.#product(x, weight, bias ? { kind: 'bias-residual', bias, residual } : { kind: 'residual', residual });
  }

  /** silu(gate) · up. [R, F], [R, F] → [R, F] */
  swiglu(gate: Tensor, up: Tensor): Tensor {
    return swiglu(this.graph, gate, up);
  }

  /** Rows to a root mean square of one, scaled. [R, C] → [R, C] */
  rmsNorm(x: Tensor, { weight, eps }: RmsNorm): Tensor {
    return rmsNorm(this.graph, x, weight, eps);
  }

  /** The first `rotated` heads normed, where there is a norm, and turned by their position; the others as they are. [T, H·D] → [T, H·D] */
  rope(x: Tensor, positions: Tensor, { table, norm, axes }: Rotary, heads: number, rotated = heads): Tensor {
    const headNorm: HeadNorm = norm ? { kind: 'rms', ...norm } : { kind: 'none' };
    return rope(this.graph, x, positions, table, headNorm, heads, rotated, axes);
  }

  /** Rows to zero mean and unit variance, scaled and shifted. [R, C] → [R, C] */
  layerNorm(x: Tensor, { weight, bias, eps }: Norm): Tensor {
    return layerNorm(this.graph, x, weight, bias, eps);
  }

  /** Attention within each sequence, scores scaled by D^-½. [Q, H·D], [T, 2·G·D] → [Q, H·D] */
  attention(query: Tensor, keyValue: Tensor, tiles: Tensor, heads: number, kvHeads = heads): Tensor {
    const scale = ((query.shape[1] as number) / heads) ** -0.5;
    return attention(this.graph, this.#attention, query, keyValue, tiles, { heads, kvHeads, scale });
  }

  /** 8-bit RGB to normalised patches. [B], [P, 4] → [P, 3·2·16·16] */
  patchify(pixels: Tensor, patches: Tensor, format: PatchFormat): Tensor {
    return patchify(this.graph, pixels, patches, format);
  }

  /** Plus a weighted sum of table rows. [R, C], [R, 4], [R, 4], [V, C] → [R, C] */
  interpolate(x: Tensor, rows: Tensor, weights: Tensor, table: Tensor): Tensor {
    return interpolateRows(this.graph, x, rows, weights, table);
  }

  /** Rows of another matrix in the place of some, or added to them. [T, C], [T], [V, C] → [T, C] */
  inject(x: Tensor, rows: Tensor, source: Tensor, mode: InjectMode): Tensor {
    return injectRows(this.graph, x, rows, source, mode);
  }

  /** Chosen rows. [T, C], [S] → [S, C] */
  rows(x: Tensor, rows: Tensor): Tensor {
    return gatherRows(this.graph, x, rows);
  }

  /** One raw logit per row. [S, C] → [S] */
  head(x: Tensor, { weight, bias }: Head): Tensor {
    return head(this.graph, x, weight, bias);
  }

  #product(x: Tensor, weight: Tensor, epilogue: Epilogue): Tensor {
    if (this.#fused || epilogue.kind === 'none') return matmul(this.graph, this.#matmul, x, weight, epilogue);
    return elementwise(this.graph, matmul(this.graph, this.#matmul, x, weight, { kind: 'none' }), epilogue);
  }
}
