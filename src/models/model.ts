import type { JsonValue } from '../checkpoint/json-value.ts';
import type { Weights, WeightUpload } from '../checkpoint/weights.ts';
import type { HostBatch } from '../nn/ragged-batch.ts';
import type { Graph } from '../graph/graph.ts';
import type { Net } from '../nn/net.ts';
import type { TokenMeter } from '../nn/token-meter.ts';
import type { FramePair, VisualRun } from '../nn/visual-batch.ts';
import type { Sizes, Tensor } from '../tensor/tensor.ts';

/** A recorded forward pass. */
export interface Recording {
  /** f32 [S], one raw logit per sequence. */
  readonly logits: Tensor;
  /** Intermediates by the names that goldens use: `embeddings`, `layer0`, …, `pooled`. */
  readonly taps: Readonly<Record<string, Tensor>>;
  readonly uploads: readonly WeightUpload[];
  readonly vision?: VisionRecording;
}

/** A vision tower, recorded as a graph of its own: it runs before the batch that its rows are for. */
export interface VisionRecording {
  readonly graph: Graph;
  /** What the tower says of each 2 x 2 patches, f32 [M, C], and the store in the main graph that it goes to. */
  readonly features: readonly { readonly rows: Tensor; readonly store: Tensor }[];
  /** Intermediates by the names that goldens use. */
  readonly taps: Readonly<Record<string, Tensor>>;
}

/** How a picture's bytes become numbers: (byte - mean) / std, by channel. */
export interface PixelNorm {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The part of a model that sees. */
export interface VisionModel {
  /** Side of a patch in pixels, frames of a patch, and patches along the side of what becomes one token. */
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  readonly mergeSize: number;
  /** Ids of the tokens that stand for what a picture and a clip become. */
  readonly imageToken: number;
  readonly videoToken: number;
  /** Bytes of the widest activation row of a patch. */
  readonly widestRowBytes: number;
  capacity(patches: number, tileRows: number): Sizes;
  batch(frames: readonly FramePair[], tileRows: number): HostBatch;
  /** Positions `[length, 3]` of a sequence in which visual tokens lie as said. */
  positions(length: number, runs: readonly VisualRun[]): Uint32Array;
}

/** The tokens whose logits make a causal LM's score: z_yes - z_no, or z_yes alone. */
export interface ScoringTokens {
  readonly yes: number;
  readonly no?: number;
}

/** What the recording of a vision tower depends on beside the configuration. */
export interface VisionContext {
  /** Rows of the stores that it fills: at least the tokens of a batch. */
  readonly rows: number;
  /** Patches that it takes at a time. */
  readonly patches: number;
  /** Mean and standard deviation of a picture's channels, 0 … 255. */
  readonly pixels: PixelNorm;
}

/** What a recording depends on beside the configuration. */
export interface RecordContext {
  /** Longest sequence that will be asked for. */
  readonly maxTokens: number;
  /** For models that see. */
  readonly vision?: VisionContext;
  /** For models that are scored by tokens. */
  readonly scoring?: ScoringTokens;
}

export interface ModelOptions {
  /** False pushes what sequences of a batch begin with in common through the layers for each of them. Default true. */
  readonly sharePrefix?: boolean;
}

/** Sizes that say which model of a family it is. */
export interface ModelDimensions {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly intermediate: number;
}

/** A configured model: everything that is known before weights are read. */
export interface Model {
  readonly dimensions: ModelDimensions;
  /** Longest sequence, special tokens included. */
  readonly maxTokens: number;
  /** Ids are below this. */
  readonly vocabularySize: number;
  /** Bytes of the widest activation row, which bound the tokens of a batch on adapters with small bindings. */
  readonly widestRowBytes: number;
  /** What the score of a pair is, given its logit. */
  readonly activation: 'identity' | 'sigmoid';
  /** Whether the score comes from two tokens of the vocabulary, which `record` must then be told. */
  readonly scoredByTokens: boolean;
  /** Things to tell the operator. */
  readonly warnings: readonly string[];
  record(net: Net, weights: Weights, context: RecordContext): Recording;
  capacity(tokens: number, sequences: number, tileRows: number): Sizes;
  /** Counts the tokens of a batch that is being filled. */
  meter(): TokenMeter;
  /** @param positions of each sequence's tokens, for models whose positions depend on more than the order */
  batch(sequences: readonly Int32Array[], tileRows: number, positions?: readonly Uint32Array[]): HostBatch;
  /** For models that see. */
  readonly vision?: VisionModel;
}

/** Decodes config.json. @throws WgrankError `config-invalid` */
export type ModelFromConfig = (config: JsonValue, options?: ModelOptions) => Model;
