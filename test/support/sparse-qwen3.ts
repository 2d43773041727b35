import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { countTensorBytes } from '../checkpoint/build-safetensors.ts';

/** config.json of Qwen/Qwen3-Reranker-0.6B, -4B and -8B (reference, 5.2), as transformers 4.51 wrote them. */
const common = {
  architectures: ['Qwen3ForCausalLM'],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: 'silu',
  initializer_range: 0.02,
  max_position_embeddings: 40960,
  model_type: 'qwen3',
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: null,
  torch_dtype: 'bfloat16',
  transformers_version: '4.51.3',
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151_669,
} as const;

const sized = (hidden: number, layers: number, heads: number, intermediate: number, tied: boolean) => ({
  ...common,
  hidden_size: hidden,
  intermediate_size: intermediate,
  max_window_layers: layers,
  num_attention_heads: heads,
  num_hidden_layers: layers,
  tie_word_embeddings: tied,
});

export const publishedQwen3 = {
  '0.6B': sized(1024, 28, 16, 3072, true),
  '4B': sized(2560, 36, 32, 9728, true),
  '8B': sized(4096, 36, 32, 12288, false),
} as const;

export type Qwen3Json = ReturnType<typeof sized>;

/** Names and shapes of a checkpoint, written down apart from the code that reads them. */
export function qwen3Tensors(c: Qwen3Json): Record<string, readonly number[]> {
  const [hidden, inner, own] = [c.hidden_size, c.intermediate_size, c.num_key_value_heads * c.head_dim];
  const wide = c.num_attention_heads * c.head_dim;
  const layer = (i: number): Record<string, readonly number[]> => ({
    [`model.layers.${i}.input_layernorm.weight`]: [hidden],
    [`model.layers.${i}.mlp.down_proj.weight`]: [hidden, inner],
    [`model.layers.${i}.mlp.gate_proj.weight`]: [inner, hidden],
    [`model.layers.${i}.mlp.up_proj.weight`]: [inner, hidden],
    [`model.layers.${i}.post_attention_layernorm.weight`]: [hidden],
    [`model.layers.${i}.self_attn.k_norm.weight`]: [c.head_dim],
    [`model.layers.${i}.self_attn.k_proj.weight`]: [own, hidden],
    [`model.layers.${i}.self_attn.o_proj.weight`]: [hidden, wide],
    [`model.layers.${i}.self_attn.q_norm.weight`]: [c.head_dim],
    [`model.layers.${i}.self_attn.q_proj.weight`]: [wide, hidden],
    [`model.layers.${i}.self_attn.v_proj.weight`]: [own, hidden],
  });
  return {
    ...(!c.tie_word_embeddings && { 'lm_head.weight': [c.vocab_size, hidden] }),
    'model.embed_tokens.weight': [c.vocab_size, hidden],
    ...Object.assign({}, ...Array.from({ length: c.num_hidden_layers }, (_, i) => layer(i))),
    'model.norm.weight': [hidden],
  };
}

/** A model folder of the full size whose weights are a hole in the file: true headers, no bytes on the disk. */
export async function writeSparseQwen3(dir: string, config: Qwen3Json, dtype: 'BF16' | 'F32' = 'BF16'): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  let end = 0;
  const entries = Object.entries(qwen3Tensors(config)).map(([name, shape]) => {
    const begin = end;
    end += countTensorBytes(dtype, shape);
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const text = JSON.stringify(Object.fromEntries(entries));
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = await open(join(dir, 'model.safetensors'), 'w');
  await file.write(Buffer.concat([length, header]));
  await file.truncate(8 + header.length + end);
  await file.close();
}
