import type { JsonValue } from '../checkpoint/json-value.ts';
import type { Weights, WeightUpload } from '../checkpoint/weights.ts';
import type { HostBatch } from '../nn/ragged-batch.ts';
import type { Net } from '../nn/net.ts';
import type { TokenMeter } from '../nn/token-meter.ts';
import type { Sizes, Tensor } from '../tensor/tensor.ts';

/** A recorded forward pass. */
export interface Recording {
  /** f32 [S], one raw logit per sequence. */
  readonly logits: Tensor;
  /** Intermediates by the names that goldens use: `embeddings`, `layer0`, …, `pooled`. */
  readonly taps: Readonly<Record<string, Tensor>>;
  readonly uploads: readonly WeightUpload[];
}

/** The tokens whose logits make a causal LM's score: z_yes - z_no, or z_yes alone. */
export interface ScoringTokens {
  readonly yes: number;
  readonly no?: number;
}

/** What a recording depends on beside the configuration. */
export interface RecordContext {
  /** Longest sequence that will be asked for. */
  readonly maxTokens: number;
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
  batch(sequences: readonly Int32Array[], tileRows: number): HostBatch;
}

/** Decodes config.json. @throws WgrankError `config-invalid` */
export type ModelFromConfig = (config: JsonValue, options?: ModelOptions) => Model;
