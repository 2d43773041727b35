import { neutralConfigKeys } from '../checkpoint/config-keys.ts';
import { ConfigReader } from '../checkpoint/config.ts';
import type { JsonValue } from '../checkpoint/json-value.ts';
import { declareSharedInputs, groupByPrefix, layOutSharedBatch, raggedCapacity } from '../nn/ragged-batch.ts';
import { TokenMeter } from '../nn/token-meter.ts';
import type { RotaryAxes } from '../ops/rope.ts';
import type { Model, ModelOptions } from './model.ts';
import { findDecoder, qwen3, qwen3Weights, unusedTensors } from './qwen3.ts';

/** Sizes of a Qwen3 decoder, and of Qwen2's, which is the same but for biases instead of head norms. */
export interface DecoderConfig {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** May differ from hidden / heads. */
  readonly headSize: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly ropeTheta: number;
  /** How the angles of a head are shared out between the axes of a position. */
  readonly rotaryAxes: RotaryAxes;
  readonly rmsNormEps: number;
  /** q, k, v have biases (Qwen2). */
  readonly attentionBias: boolean;
  /** q and k are normed by head before they are turned (Qwen3). */
  readonly headNorms: boolean;
}

/** Qwen3 as a reranker. */
export interface Qwen3Config extends DecoderConfig {
  readonly tied: boolean;
  /** Labels of a classification head `score`; undefined for a causal LM, which is scored by two of its tokens. */
  readonly labels: number | undefined;
}

export const sizes = { min: 1, max: 2 ** 24 };

/** Keys that say how generation and training went, and those that have no effect with what is checked below. */
const neutralKeys = ['architectures', 'model_type', 'max_window_layers', 'pad_token_id', 'classifier_from_token'];

/** Strict, as every configuration here. @throws WgrankError `config-invalid` */
export function decodeQwen3Config(json: JsonValue): Qwen3Config {
  const config = new ConfigReader(json, 'config.json');
  const [architecture] = config.strings('architectures');
  const isQwen2 = architecture?.startsWith('Qwen2') === true;
  const classifies = architecture?.endsWith('ForSequenceClassification') === true;
  refuseUnknownCode(config);
  // Hugging Face's rule: `id2label` counts, `num_labels` when it is absent, two labels when both are.
  const named = config.optionalEntries('id2label')?.size;
  const labels = config.optionalInteger('num_labels', { min: 1, max: 10_000 });
  const rope = { theta: readRopeTheta(config), axes: { kind: 'one' } } as const;
  config.mustBe('use_mrope', false, 'positions of pictures belong to another architecture');
  const decoded: Qwen3Config = {
    ...readDecoder(config, isQwen2, rope),
    tied: config.optionalBoolean('tie_word_embeddings') ?? false,
    labels: classifies ? (named ?? labels ?? 2) : undefined,
  };
  config.finish();
  return decoded;
}

/** What would change how the checkpoint is to be read. */
export function refuseUnknownCode(config: ConfigReader): void {
  if (config.has('auto_map')) throw config.fail('auto_map', 'code that comes with a checkpoint is never run');
  if (config.has('quantization_config'))
    throw config.fail('quantization_config', 'quantised checkpoints are not implemented: use the bf16 or f16 one');
}

export interface RopeConfig {
  readonly theta: number;
  readonly axes: RotaryAxes;
}

/** The keys of the decoder itself. @param isQwen2 biases instead of head norms */
export function readDecoder(config: ConfigReader, isQwen2: boolean, rope: RopeConfig): DecoderConfig {
  config.ignore([...Object.keys(neutralConfigKeys), ...neutralKeys]);
  config.oneOf('hidden_act', ['silu']);
  config.mustBe('use_sliding_window', false, 'windowed attention is not implemented');
  config.mustBe('attention_bias', false, 'biases of the attention output are not implemented');
  if (!config.has('use_sliding_window') && config.has('sliding_window'))
    throw config.fail('sliding_window', 'windowed attention is not implemented: null, or use_sliding_window false');
  config.ignore(['sliding_window']);
  if (config.optionalStrings('layer_types')?.some((type) => type !== 'full_attention'))
    throw config.fail('layer_types', 'only full_attention is implemented');
  const hidden = multipleOfFour(config, 'hidden_size');
  const heads = config.integer('num_attention_heads', sizes);
  const kvHeads = config.optionalInteger('num_key_value_heads', sizes) ?? heads;
  if (heads % kvHeads !== 0) throw config.fail('num_key_value_heads', `a divisor of the ${heads} heads`);
  const headSize = config.optionalInteger('head_dim', sizes) ?? hidden / heads;
  if (headSize % 8 !== 0 || headSize > 256) throw config.fail('head_dim', 'a multiple of 8 up to 256');
  return {
    hidden,
    heads,
    kvHeads,
    headSize,
    layers: config.integer('num_hidden_layers', { min: 1, max: 1000 }),
    intermediate: multipleOfFour(config, 'intermediate_size'),
    vocabulary: config.integer('vocab_size', sizes),
    positions: config.integer('max_position_embeddings', { min: 16, max: sizes.max }),
    ropeTheta: rope.theta,
    rotaryAxes: rope.axes,
    rmsNormEps: config.optionalNumber('rms_norm_eps', { min: 1e-12, max: 1 }) ?? 1e-6,
    attentionBias: isQwen2,
    headNorms: !isQwen2,
  };
}

/** `rope_theta` as transformers 4 writes it, or `rope_parameters` as transformers 5 does; scaled positions are refused. */
function readRopeTheta(config: ConfigReader): number {
  const range = { min: 1, max: 1e12 };
  const parameters = config.optionalObject('rope_parameters');
  parameters?.mustBe('rope_type', 'default', 'scaled positions are not implemented');
  const nested = parameters?.optionalNumber('rope_theta', range);
  const scaling = config.optionalObject('rope_scaling');
  scaling?.mustBe('rope_type', 'default', 'scaled positions are not implemented');
  scaling?.mustBe('type', 'default', 'scaled positions are not implemented');
  const flat = config.optionalNumber('rope_theta', range);
  if (nested !== undefined && flat !== undefined && nested !== flat)
    throw config.fail('rope_theta', `rope_parameters says ${nested}, and they mean the same`);
  return nested ?? flat ?? 10_000;
}

export function multipleOfFour(config: ConfigReader, key: string): number {
  const value = config.integer(key, sizes);
  if (value % 4 !== 0) throw config.fail(key, 'a multiple of 4: kernels read four elements at a time');
  return value;
}

/** The model that a config.json describes. */
export function qwen3FromConfig(json: JsonValue, { sharePrefix = true }: ModelOptions = {}): Model {
  const c = decodeQwen3Config(json);
  return {
    ...decoderModel(c, sharePrefix),
    scoredByTokens: c.labels === undefined,
    warnings:
      c.labels === undefined || c.labels === 1
        ? []
        : [`the head has ${c.labels} labels: the score is the first one's logit (a reranker has one label)`],
    record(net, root, context) {
      const weights = qwen3Weights(findDecoder(root, ['model', '']), root, c, context);
      const recorded = qwen3(net, declareSharedInputs(net.graph), weights, c);
      return { ...recorded, uploads: root.finish(unusedTensors(c)) };
    },
  };
}

/** What decoders have in common as models: sequences whose first tokens are computed once, where they are the same. */
export function decoderModel(c: DecoderConfig, sharePrefix: boolean) {
  const group = (sequences: readonly Int32Array[]) =>
    sharePrefix ? groupByPrefix(sequences) : sequences.map((own) => ({ prefix: new Int32Array(0), own: [own] }));
  return {
    dimensions: c,
    maxTokens: c.positions,
    vocabularySize: c.vocabulary,
    widestRowBytes: 4 * Math.max(c.intermediate, c.heads * c.headSize, 2 * c.kvHeads * c.headSize, c.hidden),
    activation: 'sigmoid',
    capacity: raggedCapacity,
    meter: () => new TokenMeter(sharePrefix),
    batch: (sequences, tileRows, positions) => layOutSharedBatch(group(sequences), 0, tileRows, positions),
  } as const satisfies Partial<Model>;
}
