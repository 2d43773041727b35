import type { ModelKind } from '../models/registry.ts';
import type { ScoringTokens } from '../models/model.ts';
import type { EncodedMedia } from '../media/encoded-media.ts';
import type { EncodedPair } from '../text/encoded-pair.ts';
import type { ScoreOptions } from './rerank-phase.ts';

export type { ModelKind };

/** Names of `--dtype`: what weights are stored as on the GPU. `auto` keeps what the checkpoint holds. Arithmetic is always f32. */
export type WeightDtype = 'auto' | 'f32' | 'f16' | 'bf16';

/** Tokens of a decoder's prompt where the operator names no number: the official code's. */
const defaultPromptTokens = { 'text-decoder': 8192, 'vl-decoder': 10_240 };

/** The longest pair that is served where the operator names no number. @param maxTokens what the model can read */
export function defaultMaxLength(kind: ModelKind, maxTokens: number): number {
  return kind === 'cross-encoder' ? maxTokens : Math.min(maxTokens, defaultPromptTokens[kind]);
}

/** The longest pair that an engine must take. @param maxLength what its encoder is asked to cut to; default as above */
export function longestPair(kind: ModelKind, maxTokens: number, maxLength = defaultMaxLength(kind, maxTokens)): number {
  // A length that the model cannot read is the plan's to refuse.
  return maxLength > maxTokens ? maxLength : Math.min(maxLength + tokensBeyond(kind), maxTokens);
}

/**
 * Tokens by which the pairs of a model may exceed the length that its encoder cuts to: the official code of Qwen3-VL-Reranker sets
 * the prompt's ending aside, cuts the rest, and puts the ending back.
 */
export function tokensBeyond(kind: ModelKind): number {
  return kind === 'vl-decoder' ? 5 : 0;
}

/** Longest pair in tokens that callers may count on: what an engine reads without what `tokensBeyond` keeps for its own growth. */
export function readableTokens({ kind, maxTokens }: Pick<EngineInfo, 'kind' | 'maxTokens'>): number {
  return maxTokens - tokensBeyond(kind);
}

/** A pair, and the pictures and clips that its pads stand for, in their order. */
export interface EnginePair extends EncodedPair {
  readonly media?: readonly EncodedMedia[];
}

export interface EngineInfo {
  /** Folder or id as the operator gave it. */
  readonly model: string;
  readonly kind: ModelKind;
  /** `architectures[0]` of config.json. */
  readonly architecture: string;
  /** What the weights are stored as on the GPU, after `auto` is resolved. */
  readonly dtype: Exclude<WeightDtype, 'auto'>;
  /** Human-readable adapter name and whether it is a software rasteriser. */
  readonly adapter: string;
  readonly software: boolean;
  /** What the score of a pair is, given its logit. */
  readonly activation: 'identity' | 'sigmoid';
  /** Token ids whose logits a decoder's score compares. */
  readonly scoringTokens?: ScoringTokens;
  /** Longest pair in tokens, special tokens included; for models that see with the five by which `tokensBeyond` lets it grow. */
  readonly maxTokens: number;
  /** Tokens of one batch at the most. */
  readonly maxBatchTokens: number;
  /** Things an operator should know: several labels, inexact weights, a slow adapter. */
  readonly warnings: readonly string[];
}

export interface EngineStats {
  readonly queuedPairs: number;
  readonly queuedTokens: number;
  readonly batches: number;
  readonly batchTokens: number;
  /** Bytes of all GPU buffers: weights, arenas, staging. */
  readonly gpuBytes: number;
}

/** One loaded model. `score` may be called concurrently: the engine batches by its token budget. */
export interface Engine {
  readonly info: EngineInfo;
  /**
   * @param options for an engine with a queue
   * @returns one raw logit per pair, in order
   * @throws WgrankError `cancelled`, `device-lost`, `numeric-range`, `engine-stopped`, `input-too-long`, `media-too-large`
   */
  score(pairs: readonly EnginePair[], signal?: AbortSignal, options?: ScoreOptions): Promise<Float32Array>;
  stats(): Promise<EngineStats>;
  close(): Promise<void>;
  /** Resolves with the reason when the engine can score no more, such as a lost device. */
  readonly failed?: Promise<Error>;
}

export interface EngineOptions {
  /** Folder with config.json, tokenizer.json and *.safetensors. */
  readonly modelDir: string;
  /** Name to report; defaults to the folder. */
  readonly model?: string;
  readonly dtype?: WeightDtype;
  /** Longest pair; default: the model's own maximum, for decoders at most 8192, or 10240 where they see. */
  readonly maxLength?: number;
  /** False computes what the pairs of a batch begin with in common again for each of them; for comparisons. Default true. */
  readonly sharePrefix?: boolean;
  /** Default: 16384 on hardware and 1024 on software, less where a binding limit asks for it. */
  readonly maxBatchTokens?: number;
}
