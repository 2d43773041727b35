import { describe, expect, it } from 'vitest';
import { parseJson } from '../../src/checkpoint/json-value.ts';
import { decodeQwen3Config, qwen3FromConfig } from '../../src/models/qwen3-config.ts';
import { publishedQwen3 } from '../support/sparse-qwen3.ts';

type Json = Readonly<Record<string, unknown>>;

/** `undefined` takes a key out. */
const parse = (json: Json) => parseJson(new TextEncoder().encode(JSON.stringify(json)), (detail) => new Error(detail));
const decode = (json: Json) => decodeQwen3Config(parse(json));
const small: Json = publishedQwen3['0.6B'];

/** As transformers 5 saves it. */
const { torch_dtype: dtype, rope_theta: ropeTheta, rope_scaling: _, ...kept } = publishedQwen3['0.6B'];
const saved5: Json = {
  ...kept,
  dtype,
  rope_parameters: { rope_theta: ropeTheta, rope_type: 'default' },
  layer_types: Array<string>(28).fill('full_attention'),
  pad_token_id: null,
  transformers_version: '5.0.0',
};

/** mixedbread-ai/mxbai-rerank-base-v2 */
const mxbai: Json = {
  architectures: ['Qwen2ForCausalLM'],
  attention_dropout: 0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  hidden_act: 'silu',
  hidden_size: 896,
  initializer_range: 0.02,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  max_window_layers: 24,
  model_type: 'qwen2',
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: 'float16',
  transformers_version: '4.49.0',
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151_936,
};

const same = { kvHeads: 8, headSize: 128, vocabulary: 151_669, positions: 40_960, ropeTheta: 1e6, rmsNormEps: 1e-6 };
const qwen3 = { attentionBias: false, headNorms: true, labels: undefined, rotaryAxes: { kind: 'one' }, ...same };

describe('published forms', () => {
  it('Qwen3-Reranker-0.6B, -4B and -8B', () => {
    const sizes = { hidden: 1024, layers: 28, heads: 16, intermediate: 3072, tied: true };
    expect(decode(publishedQwen3['0.6B'])).toEqual({ ...qwen3, ...sizes });
    const four = { hidden: 2560, layers: 36, heads: 32, intermediate: 9728, tied: true };
    expect(decode(publishedQwen3['4B'])).toEqual({ ...qwen3, ...four });
    const eight = { hidden: 4096, layers: 36, heads: 32, intermediate: 12288, tied: false };
    expect(decode(publishedQwen3['8B'])).toEqual({ ...qwen3, ...eight });
  });

  it('as transformers 5 writes them', () => {
    expect(decode(saved5)).toEqual(decode(small));
  });

  it('converted to a classifier', () => {
    const converted = {
      ...small,
      architectures: ['Qwen3ForSequenceClassification'],
      id2label: { 0: 'LABEL_0' },
      label2id: { LABEL_0: 0 },
      pad_token_id: 151643,
      sentence_transformers: { activation_fn: 'torch.nn.modules.activation.Sigmoid', version: '4.2.0' },
      classifier_from_token: ['no', 'yes'],
    };
    expect(decode(converted)).toEqual({ ...decode(small), labels: 1 });
    expect(qwen3FromConfig(parse(converted))).toMatchObject({ scoredByTokens: false, warnings: [] });
  });

  it('Qwen2: biases instead of head norms, heads of hidden / heads', () => {
    const sizes = {
      hidden: 896,
      layers: 24,
      heads: 14,
      kvHeads: 2,
      headSize: 64,
      intermediate: 4864,
      positions: 32_768,
    };
    const expected = { ...qwen3, ...sizes, attentionBias: true, headNorms: false, tied: true, vocabulary: 151_936 };
    expect(decode(mxbai)).toEqual(expected);
  });

  it.each<[string, Json, object]>([
    ['one key-value head per head', { num_key_value_heads: undefined }, { kvHeads: 16 }],
    ['no eps', { rms_norm_eps: undefined }, { rmsNormEps: 1e-6 }],
    ['no theta', { rope_theta: undefined }, { ropeTheta: 10_000 }],
    ['an lm_head of its own', { tie_word_embeddings: undefined }, { tied: false }],
    ['both spellings of theta', { rope_parameters: { rope_theta: 1_000_000 } }, { ropeTheta: 1e6 }],
    ['no scaling, spelled out', { rope_scaling: { rope_type: 'default', type: 'default' } }, { ropeTheta: 1e6 }],
    ['a window that is off', { sliding_window: 4096, use_sliding_window: false }, {}],
  ])('%s', (_, change, expected) => {
    expect(decode({ ...small, ...change })).toEqual({ ...decode(small), ...expected });
  });

  it.each<[string, Json, number]>([
    ['id2label', { id2label: { 0: 'a', 1: 'b', 2: 'c' }, num_labels: 5 }, 3],
    ['num_labels', { num_labels: 1 }, 1],
    ['neither: Hugging Face makes two', {}, 2],
  ])('labels of a classifier by %s', (_, change, labels) => {
    const json = { ...small, architectures: ['Qwen3ForSequenceClassification'], ...change };
    expect(decode(json).labels).toBe(labels);
    const warning = `the head has ${labels} labels: the score is the first one's logit (a reranker has one label)`;
    expect(qwen3FromConfig(parse(json)).warnings).toEqual(labels === 1 ? [] : [warning]);
  });

  it('say what the engine needs to know', () => {
    const model = qwen3FromConfig(parse(small));
    const facts = {
      maxTokens: 40_960,
      vocabularySize: 151_669,
      activation: 'sigmoid',
      scoredByTokens: true,
      warnings: [],
    };
    // 3072 numbers of four bytes, in the gate.
    expect(model).toMatchObject({ ...facts, widestRowBytes: 12_288, dimensions: { layers: 28, hidden: 1024 } });
  });
});

const scaled = 'must be "default": scaled positions are not implemented';
const windowed = 'windowed attention is not implemented';

describe('refused by name', () => {
  it.each<[string, Json, string]>([
    ['a sliding window', { use_sliding_window: true }, `use_sliding_window is true (must be false: ${windowed})`],
    [
      'a window without its switch',
      { use_sliding_window: undefined, sliding_window: 4096 },
      `sliding_window is 4096 (${windowed}: null, or use_sliding_window false)`,
    ],
    [
      'windowed layers',
      { layer_types: ['full_attention', 'sliding_attention'] },
      'layer_types is ["full_attention", "sliding_attention"] (only full_attention is implemented)',
    ],
    ['YaRN', { rope_scaling: { rope_type: 'yarn', factor: 4 } }, `rope_scaling.rope_type is "yarn" (${scaled})`],
    ['YaRN of old', { rope_scaling: { type: 'yarn', factor: 4 } }, `rope_scaling.type is "yarn" (${scaled})`],
    [
      'YaRN of transformers 5',
      { rope_parameters: { rope_type: 'yarn' } },
      `rope_parameters.rope_type is "yarn" (${scaled})`,
    ],
    [
      'a factor of nothing',
      { rope_scaling: { rope_type: 'default', factor: 4 } },
      'unknown keys rope_scaling.factor (wgrank does not know what they change, so it does not guess)',
    ],
    [
      'two thetas',
      { rope_parameters: { rope_theta: 10_000 } },
      'rope_theta is 1000000 (rope_parameters says 10000, and they mean the same)',
    ],
    [
      'biases',
      { attention_bias: true },
      'attention_bias is true (must be false: biases of the attention output are not implemented)',
    ],
    [
      'positions of pictures',
      { use_mrope: true },
      'use_mrope is true (must be false: positions of pictures belong to another architecture)',
    ],
    [
      'code',
      { auto_map: { AutoModel: 'x.Y' } },
      'auto_map is an object of 1 keys (code that comes with a checkpoint is never run)',
    ],
    [
      'quantised weights',
      { quantization_config: { bits: 4 } },
      'quantization_config is an object of 1 keys (quantised checkpoints are not implemented: use the bf16 or f16 one)',
    ],
    ['an odd head', { head_dim: 127 }, 'head_dim is 127 (a multiple of 8 up to 256)'],
    ['a large head', { head_dim: 264 }, 'head_dim is 264 (a multiple of 8 up to 256)'],
    [
      'heads that do not divide hidden',
      { head_dim: undefined, num_attention_heads: 48 },
      'lacks head_dim (a multiple of 8 up to 256)',
    ],
    [
      'key-value heads that do not divide',
      { num_key_value_heads: 3 },
      'num_key_value_heads is 3 (a divisor of the 16 heads)',
    ],
    [
      'more key-value heads than heads',
      { num_key_value_heads: 32 },
      'num_key_value_heads is 32 (a divisor of the 16 heads)',
    ],
    [
      'an odd hidden size',
      { hidden_size: 1022 },
      'hidden_size is 1022 (a multiple of 4: kernels read four elements at a time)',
    ],
    ['an odd intermediate size', { intermediate_size: 3 }, 'intermediate_size is 3 (a multiple of 4'],
    ['another activation', { hidden_act: 'gelu' }, 'hidden_act is "gelu" (only "silu")'],
    ['no activation', { hidden_act: undefined }, 'lacks hidden_act (only "silu")'],
    ['no layers', { num_hidden_layers: 0 }, 'num_hidden_layers is 0 (a whole number from 1 to 1000)'],
    ['no vocabulary', { vocab_size: undefined }, 'lacks vocab_size (a whole number from 1 to 16777216)'],
    ['a theta of text', { rope_theta: '1e6' }, 'rope_theta is "1e6" (a number from 1 to 1000000000000)'],
    ['an eps of nothing', { rms_norm_eps: 0 }, 'rms_norm_eps is 0 (a number from 1e-12 to 1)'],
    ['an unknown key', { attention_sinks: 4 }, 'unknown keys attention_sinks ('],
  ])('%s', (_, change, message) => {
    let error: unknown;
    try {
      decode({ ...small, ...change });
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'config-invalid' });
    expect(String(error)).toContain(`[config] config.json: ${message}`);
  });
});
