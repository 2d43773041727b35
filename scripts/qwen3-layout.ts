/** Shapes, tensor names and config.json of published Qwen3 rerankers, for the scripts that write such checkpoints. */
import type { TensorPlan } from './xlm-roberta-layout.ts';

/** Sizes from the published config.json files; `shards` is the number of files that the weights come in. */
export const qwen3Shapes = {
  'qwen3-reranker-0.6b': {
    hidden: 1024,
    layers: 28,
    heads: 16,
    kvHeads: 8,
    headSize: 128,
    intermediate: 3072,
    positions: 40_960,
    vocab: 151_669,
    tied: true,
    shards: 1,
  },
  'qwen3-reranker-4b': {
    hidden: 2560,
    layers: 36,
    heads: 32,
    kvHeads: 8,
    headSize: 128,
    intermediate: 9728,
    positions: 40_960,
    vocab: 151_669,
    tied: true,
    shards: 2,
  },
  'qwen3-reranker-8b': {
    hidden: 4096,
    layers: 36,
    heads: 32,
    kvHeads: 8,
    headSize: 128,
    intermediate: 12_288,
    positions: 40_960,
    vocab: 151_669,
    tied: false,
    shards: 5,
  },
  'tiny-qwen3': {
    hidden: 64,
    layers: 3,
    heads: 4,
    kvHeads: 2,
    headSize: 32,
    intermediate: 192,
    positions: 2048,
    vocab: 2000,
    tied: true,
    shards: 1,
  },
} as const;

export type Qwen3Sizes = Record<
  'hidden' | 'layers' | 'heads' | 'kvHeads' | 'headSize' | 'intermediate' | 'positions' | 'vocab',
  number
> & { readonly tied: boolean };

/** All tensors, sorted by name as the Hugging Face writer sorts them. */
export function planQwen3Tensors(s: Qwen3Sizes): TensorPlan[] {
  const tensors: TensorPlan[] = [];
  const matrix = (name: string, out: number, into: number) =>
    tensors.push({ name: `${name}.weight`, shape: [out, into], mean: 0 });
  const norm = (name: string, size: number) => tensors.push({ name: `${name}.weight`, shape: [size], mean: 1 });
  matrix('model.embed_tokens', s.vocab, s.hidden);
  for (let i = 0; i < s.layers; i++) {
    const layer = `model.layers.${i}`;
    norm(`${layer}.input_layernorm`, s.hidden);
    matrix(`${layer}.self_attn.q_proj`, s.heads * s.headSize, s.hidden);
    for (const part of ['k_proj', 'v_proj']) matrix(`${layer}.self_attn.${part}`, s.kvHeads * s.headSize, s.hidden);
    matrix(`${layer}.self_attn.o_proj`, s.hidden, s.heads * s.headSize);
    for (const part of ['q_norm', 'k_norm']) norm(`${layer}.self_attn.${part}`, s.headSize);
    norm(`${layer}.post_attention_layernorm`, s.hidden);
    for (const part of ['gate_proj', 'up_proj']) matrix(`${layer}.mlp.${part}`, s.intermediate, s.hidden);
    matrix(`${layer}.mlp.down_proj`, s.hidden, s.intermediate);
  }
  norm('model.norm', s.hidden);
  if (!s.tied) matrix('lm_head', s.vocab, s.hidden);
  return tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** config.json as published, key for key. */
export function makeQwen3Config(s: Qwen3Sizes, tokens: { bos: number; eos: number }, torchDtype: string): object {
  return {
    architectures: ['Qwen3ForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: tokens.bos,
    eos_token_id: tokens.eos,
    head_dim: s.headSize,
    hidden_act: 'silu',
    hidden_size: s.hidden,
    initializer_range: 0.02,
    intermediate_size: s.intermediate,
    max_position_embeddings: s.positions,
    max_window_layers: s.layers,
    model_type: 'qwen3',
    num_attention_heads: s.heads,
    num_hidden_layers: s.layers,
    num_key_value_heads: s.kvHeads,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 1_000_000,
    sliding_window: null,
    tie_word_embeddings: s.tied,
    torch_dtype: torchDtype,
    transformers_version: '4.51.3',
    use_cache: true,
    use_sliding_window: false,
    vocab_size: s.vocab,
  };
}
