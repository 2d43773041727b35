import { neutralConfigKeys } from '../checkpoint/config-keys.ts';
import { ConfigReader } from '../checkpoint/config.ts';
import type { JsonValue } from '../checkpoint/json-value.ts';
import { declareRaggedInputs, layOutBatch, raggedCapacity } from '../nn/ragged-batch.ts';
import { TokenMeter } from '../nn/token-meter.ts';
import type { Model } from './model.ts';
import { unusedTensors, xlmRoberta, xlmRobertaWeights } from './xlm-roberta.ts';

export interface XlmRobertaConfig {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Rows of the position table; the first `padding + 1` belong to no token. */
  readonly positions: number;
  readonly padding: number;
  readonly tokenTypes: number;
  readonly layerNormEps: number;
  readonly labels: number;
  readonly activation: 'identity' | 'sigmoid';
}

const sizes = { min: 1, max: 2 ** 24 };

/** Strict: a key that could change the result and is not known here is refused. @throws WgrankError `config-invalid` */
export function decodeXlmRobertaConfig(json: JsonValue): XlmRobertaConfig {
  const config = new ConfigReader(json, 'config.json');
  config.ignore(Object.keys(neutralConfigKeys));
  config.ignore(['architectures', 'model_type', 'tie_word_embeddings']);
  config.oneOf('hidden_act', ['gelu']);
  config.mustBe('position_embedding_type', 'absolute', 'relative positions are not implemented');
  for (const key of ['is_decoder', 'add_cross_attention', 'is_encoder_decoder', 'cross_attention_hidden_size']) {
    config.mustBe(key, false, 'a cross-encoder attends in both directions and to nothing else');
  }
  if (config.optionalEntries('pruned_heads')?.size)
    throw config.fail('pruned_heads', 'pruned heads are not implemented');
  if (config.has('auto_map')) throw config.fail('auto_map', 'code that comes with a checkpoint is never run');
  const hidden = config.integer('hidden_size', sizes);
  const heads = config.integer('num_attention_heads', sizes);
  if (hidden % heads !== 0 || (hidden / heads) % 4 !== 0 || hidden / heads > 256) {
    throw config.fail('hidden_size', `${heads} heads of a multiple of 4 up to 256`);
  }
  const intermediate = config.integer('intermediate_size', sizes);
  if (intermediate % 4 !== 0)
    throw config.fail('intermediate_size', 'a multiple of 4: kernels read four elements at a time');
  const padding = config.optionalInteger('pad_token_id', { min: 0, max: sizes.max }) ?? 1;
  const decoded: XlmRobertaConfig = {
    hidden,
    heads,
    intermediate,
    padding,
    layers: config.integer('num_hidden_layers', { min: 1, max: 1000 }),
    vocabulary: config.integer('vocab_size', sizes),
    positions: config.integer('max_position_embeddings', { min: padding + 6, max: sizes.max }),
    tokenTypes: config.optionalInteger('type_vocab_size', sizes) ?? 2,
    layerNormEps: config.optionalNumber('layer_norm_eps', { min: 0, max: 1 }) ?? 1e-12,
    labels: readLabels(config),
    activation: readActivation(config),
  };
  config.finish();
  return decoded;
}

/** Hugging Face's rule: `id2label` counts, `num_labels` when it is absent, two labels when both are. */
function readLabels(config: ConfigReader): number {
  const named = config.optionalEntries('id2label')?.size;
  const counted = config.optionalInteger('num_labels', { min: 1, max: 10_000 });
  return named ?? counted ?? 2;
}

/** SGLang's rule (reference: `sbert_ce_default_activation_function`, a torch class name); raw logits without it. */
function readActivation(config: ConfigReader): 'identity' | 'sigmoid' {
  const name = config.optionalOneOf('sbert_ce_default_activation_function', [
    'torch.nn.modules.linear.Identity',
    'torch.nn.modules.activation.Sigmoid',
  ]);
  return name?.endsWith('Sigmoid') ? 'sigmoid' : 'identity';
}

/** The model that a config.json describes. */
export function xlmRobertaFromConfig(json: JsonValue): Model {
  const c = decodeXlmRobertaConfig(json);
  const firstPosition = c.padding + 1;
  return {
    dimensions: { ...c, kvHeads: c.heads, headSize: c.hidden / c.heads },
    maxTokens: c.positions - firstPosition,
    vocabularySize: c.vocabulary,
    widestRowBytes: 4 * Math.max(2 * c.hidden, c.intermediate),
    activation: c.activation,
    scoredByTokens: false,
    warnings:
      c.labels === 1
        ? []
        : [`the head has ${c.labels} labels: the score is the first one's logit (a reranker has one label)`],
    record(net, root) {
      const weights = xlmRobertaWeights(root, c);
      const recorded = xlmRoberta(net, declareRaggedInputs(net.graph), weights, c);
      return { ...recorded, uploads: root.finish(unusedTensors) };
    },
    capacity: raggedCapacity,
    meter: () => new TokenMeter(false),
    batch: (sequences, tileRows) => layOutBatch(sequences, firstPosition, () => 0, tileRows, c.padding),
  };
}
