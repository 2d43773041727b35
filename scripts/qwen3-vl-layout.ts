/** Shapes, tensor names and configuration files of published Qwen3-VL rerankers, for the scripts that write such checkpoints. */
import { makeQwen3Config, planQwen3Tensors, type Qwen3Sizes } from './qwen3-layout.ts';
import type { TensorPlan } from './xlm-roberta-layout.ts';

/** The language model's sizes, and `vision` the tower's. */
export const qwen3VlShapes = {
  'qwen3-vl-reranker-2b': {
    hidden: 2048,
    layers: 28,
    heads: 16,
    kvHeads: 8,
    headSize: 128,
    intermediate: 6144,
    positions: 262_144,
    vocab: 151_936,
    tied: true,
    shards: 1,
    vision: { hidden: 1024, depth: 24, heads: 16, intermediate: 4096, deepstack: [5, 11, 17] },
  },
  'qwen3-vl-reranker-8b': {
    hidden: 4096,
    layers: 36,
    heads: 32,
    kvHeads: 8,
    headSize: 128,
    intermediate: 12_288,
    positions: 262_144,
    vocab: 151_936,
    tied: false,
    shards: 4,
    vision: { hidden: 1152, depth: 27, heads: 16, intermediate: 4304, deepstack: [8, 16, 24] },
  },
} as const;

export interface VisionSizes {
  readonly hidden: number;
  readonly depth: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly deepstack: readonly number[];
}

/** Of every published size: pixels of a patch, frames, patches along a block's side, rows of the position table. */
const [patch, frames, merge, places] = [16, 2, 2, 2304];

/** A tower of fewer blocks: DeepStack takes the last ones that are left. */
export function cutTower(vision: VisionSizes, depth: number): VisionSizes {
  const levels = Math.min(vision.deepstack.length, depth);
  return { ...vision, depth, deepstack: Array.from({ length: levels }, (_, i) => depth - levels + i) };
}

/** All tensors, sorted by name as the Hugging Face writer sorts them. */
export function planQwen3VlTensors(s: Qwen3Sizes, v: VisionSizes): TensorPlan[] {
  const text = planQwen3Tensors(s).map((tensor) => ({
    ...tensor,
    name: tensor.name.replace(/^model\./, 'model.language_model.'),
  }));
  const tensors: TensorPlan[] = [];
  const linear = (name: string, out: number, into: readonly number[]) =>
    tensors.push(
      { name: `model.visual.${name}.weight`, shape: [out, ...into], mean: 0 },
      { name: `model.visual.${name}.bias`, shape: [out], mean: 0 },
    );
  const norm = (name: string, size: number) =>
    tensors.push(
      { name: `model.visual.${name}.weight`, shape: [size], mean: 1 },
      { name: `model.visual.${name}.bias`, shape: [size], mean: 0 },
    );
  const wide = merge ** 2 * v.hidden;
  const merger = (name: string, normSize: number) => {
    norm(`${name}.norm`, normSize);
    linear(`${name}.linear_fc1`, wide, [wide]);
    linear(`${name}.linear_fc2`, s.hidden, [wide]);
  };
  linear('patch_embed.proj', v.hidden, [3, frames, patch, patch]);
  tensors.push({ name: 'model.visual.pos_embed.weight', shape: [places, v.hidden], mean: 0 });
  for (let i = 0; i < v.depth; i++) {
    for (const name of ['norm1', 'norm2']) norm(`blocks.${i}.${name}`, v.hidden);
    linear(`blocks.${i}.attn.qkv`, 3 * v.hidden, [v.hidden]);
    linear(`blocks.${i}.attn.proj`, v.hidden, [v.hidden]);
    linear(`blocks.${i}.mlp.linear_fc1`, v.intermediate, [v.hidden]);
    linear(`blocks.${i}.mlp.linear_fc2`, v.hidden, [v.intermediate]);
  }
  merger('merger', v.hidden);
  v.deepstack.forEach((_, i) => merger(`deepstack_merger_list.${i}`, wide));
  return [...text, ...tensors].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Ids of the tokens around and in the place of a picture. */
export interface VisionTokens {
  readonly start: number;
  readonly end: number;
  readonly image: number;
  readonly video: number;
}

/** config.json as published. */
export function makeQwen3VlConfig(
  s: Qwen3Sizes,
  v: VisionSizes,
  tokens: { bos: number; eos: number },
  vision: VisionTokens,
  torchDtype: string,
): object {
  const {
    architectures: _,
    transformers_version: version,
    torch_dtype: dtype,
    ...text
  } = makeQwen3Config(s, tokens, torchDtype) as Record<string, unknown>;
  for (const key of ['max_window_layers', 'sliding_window', 'use_sliding_window', 'tie_word_embeddings'])
    delete text[key];
  return {
    architectures: ['Qwen3VLForConditionalGeneration'],
    image_token_id: vision.image,
    model_type: 'qwen3_vl',
    text_config: {
      ...text,
      dtype,
      model_type: 'qwen3_vl_text',
      rope_scaling: { mrope_interleaved: true, mrope_section: [24, 20, 20], rope_type: 'default' },
      rope_theta: 5_000_000,
    },
    tie_word_embeddings: s.tied,
    transformers_version: version,
    video_token_id: vision.video,
    vision_config: {
      deepstack_visual_indexes: v.deepstack,
      depth: v.depth,
      hidden_act: 'gelu_pytorch_tanh',
      hidden_size: v.hidden,
      in_channels: 3,
      initializer_range: 0.02,
      intermediate_size: v.intermediate,
      model_type: 'qwen3_vl',
      num_heads: v.heads,
      num_position_embeddings: places,
      out_hidden_size: s.hidden,
      patch_size: patch,
      spatial_merge_size: merge,
      temporal_patch_size: frames,
    },
    vision_end_token_id: vision.end,
    vision_start_token_id: vision.start,
  };
}

/** Files that say how pictures and clips are prepared, by name. */
export function makePreprocessorFiles(): Record<string, object> {
  const common = {
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    merge_size: merge,
    patch_size: patch,
    temporal_patch_size: frames,
  };
  return {
    'preprocessor_config.json': {
      ...common,
      do_convert_rgb: true,
      do_normalize: true,
      do_rescale: true,
      do_resize: true,
      image_processor_type: 'Qwen2VLImageProcessorFast',
      resample: 3,
      rescale_factor: 1 / 255,
      size: { longest_edge: 1_310_720, shortest_edge: 4096 },
    },
    'video_preprocessor_config.json': {
      ...common,
      fps: 2,
      max_frames: 768,
      min_frames: 4,
      size: { longest_edge: 25_165_824, shortest_edge: 4096 },
      video_processor_type: 'Qwen3VLVideoProcessor',
    },
  };
}
