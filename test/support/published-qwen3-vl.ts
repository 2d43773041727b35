import { parseJson } from '../../src/checkpoint/json-value.ts';

/** A config.json as it is read. `undefined` takes a key out. */
export const parseConfig = (json: object) =>
  parseJson(new TextEncoder().encode(JSON.stringify(json)), (detail) => new Error(detail));

/** config.json of Qwen/Qwen3-VL-Reranker-2B and -8B (reference, 5.3), as transformers 4.57 writes them. */
const sized = (
  text: { hidden: number; layers: number; heads: number; intermediate: number },
  vision: { hidden: number; depth: number; intermediate: number; deepstack: readonly number[] },
  tied: boolean,
) => ({
  architectures: ['Qwen3VLForConditionalGeneration'],
  image_token_id: 151_655,
  model_type: 'qwen3_vl',
  text_config: {
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 151_643,
    dtype: 'bfloat16',
    eos_token_id: 151_645,
    head_dim: 128,
    hidden_act: 'silu',
    hidden_size: text.hidden,
    initializer_range: 0.02,
    intermediate_size: text.intermediate,
    max_position_embeddings: 262_144,
    model_type: 'qwen3_vl_text',
    num_attention_heads: text.heads,
    num_hidden_layers: text.layers,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    rope_scaling: { mrope_interleaved: true, mrope_section: [24, 20, 20], rope_type: 'default' },
    rope_theta: 5_000_000,
    tie_word_embeddings: tied,
    use_cache: true,
    vocab_size: 151_936,
  },
  tie_word_embeddings: tied,
  transformers_version: '4.57.0.dev0',
  video_token_id: 151_656,
  vision_config: {
    deepstack_visual_indexes: vision.deepstack,
    depth: vision.depth,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_size: vision.hidden,
    in_channels: 3,
    initializer_range: 0.02,
    intermediate_size: vision.intermediate,
    model_type: 'qwen3_vl',
    num_heads: 16,
    num_position_embeddings: 2304,
    out_hidden_size: text.hidden,
    patch_size: 16,
    spatial_merge_size: 2,
    temporal_patch_size: 2,
  },
  vision_end_token_id: 151_653,
  vision_start_token_id: 151_652,
});

export const publishedQwen3Vl = {
  '2B': sized(
    { hidden: 2048, layers: 28, heads: 16, intermediate: 6144 },
    { hidden: 1024, depth: 24, intermediate: 4096, deepstack: [5, 11, 17] },
    true,
  ),
  '8B': sized(
    { hidden: 4096, layers: 36, heads: 32, intermediate: 12_288 },
    { hidden: 1152, depth: 27, intermediate: 4304, deepstack: [8, 16, 24] },
    false,
  ),
} as const;

export type Qwen3VlJson = ReturnType<typeof sized>;

/** Names and shapes of a checkpoint, written down apart from the code that reads them. */
export function qwen3VlTensors(json: Qwen3VlJson): Record<string, readonly number[]> {
  const { text_config: t, vision_config: v } = json;
  const [hidden, own, wide] = [t.hidden_size, t.num_key_value_heads * t.head_dim, t.num_attention_heads * t.head_dim];
  const [seen, merged] = [v.hidden_size, 4 * v.hidden_size];
  const withBias = (name: string, shape: readonly number[]) => ({
    [`${name}.weight`]: shape,
    [`${name}.bias`]: [shape[0]!],
  });
  const text = (i: number): Record<string, readonly number[]> => ({
    [`model.language_model.layers.${i}.input_layernorm.weight`]: [hidden],
    [`model.language_model.layers.${i}.mlp.down_proj.weight`]: [hidden, t.intermediate_size],
    [`model.language_model.layers.${i}.mlp.gate_proj.weight`]: [t.intermediate_size, hidden],
    [`model.language_model.layers.${i}.mlp.up_proj.weight`]: [t.intermediate_size, hidden],
    [`model.language_model.layers.${i}.post_attention_layernorm.weight`]: [hidden],
    [`model.language_model.layers.${i}.self_attn.k_norm.weight`]: [t.head_dim],
    [`model.language_model.layers.${i}.self_attn.k_proj.weight`]: [own, hidden],
    [`model.language_model.layers.${i}.self_attn.o_proj.weight`]: [hidden, wide],
    [`model.language_model.layers.${i}.self_attn.q_norm.weight`]: [t.head_dim],
    [`model.language_model.layers.${i}.self_attn.q_proj.weight`]: [wide, hidden],
    [`model.language_model.layers.${i}.self_attn.v_proj.weight`]: [own, hidden],
  });
  const block = (i: number) => ({
    ...withBias(`model.visual.blocks.${i}.attn.proj`, [seen, seen]),
    ...withBias(`model.visual.blocks.${i}.attn.qkv`, [3 * seen, seen]),
    ...withBias(`model.visual.blocks.${i}.mlp.linear_fc1`, [v.intermediate_size, seen]),
    ...withBias(`model.visual.blocks.${i}.mlp.linear_fc2`, [seen, v.intermediate_size]),
    ...withBias(`model.visual.blocks.${i}.norm1`, [seen]),
    ...withBias(`model.visual.blocks.${i}.norm2`, [seen]),
  });
  const merger = (name: string, normed: number) => ({
    ...withBias(`${name}.linear_fc1`, [merged, merged]),
    ...withBias(`${name}.linear_fc2`, [hidden, merged]),
    ...withBias(`${name}.norm`, [normed]),
  });
  const all = <T>(count: number, of: (i: number) => T): T =>
    Object.assign({}, ...Array.from({ length: count }, (_, i) => of(i)));
  return {
    ...(!json.tie_word_embeddings && { 'lm_head.weight': [t.vocab_size, hidden] }),
    'model.language_model.embed_tokens.weight': [t.vocab_size, hidden],
    ...all(t.num_hidden_layers, text),
    'model.language_model.norm.weight': [hidden],
    ...all(v.depth, block),
    ...all(v.deepstack_visual_indexes.length, (i) => merger(`model.visual.deepstack_merger_list.${i}`, merged)),
    ...merger('model.visual.merger', seen),
    ...withBias('model.visual.patch_embed.proj', [seen, 3, v.temporal_patch_size, v.patch_size, v.patch_size]),
    'model.visual.pos_embed.weight': [v.num_position_embeddings, seen],
  };
}

const small = publishedQwen3Vl['2B'];
const { rope_scaling: scaling, rope_theta: theta, ...textKept } = small.text_config;

/** The 2B's as transformers 5 saves it. */
export const savedByTransformers5 = {
  ...small,
  dtype: 'bfloat16',
  text_config: { ...textKept, pad_token_id: null, rope_parameters: { ...scaling, rope_theta: theta } },
  transformers_version: '5.18.0',
  vision_config: {
    ...small.vision_config,
    dtype: 'bfloat16',
    model_type: 'qwen3_vl_vision',
    rope_parameters: { rope_theta: 10_000, rope_type: 'axial' },
  },
};
