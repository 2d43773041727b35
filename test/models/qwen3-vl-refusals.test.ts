import { describe, expect, it } from 'vitest';
import { decodeQwen3VlConfig } from '../../src/models/qwen3-vl-config.ts';
import { parseConfig, publishedQwen3Vl, savedByTransformers5 as saved5 } from '../support/published-qwen3-vl.ts';

type Json = Readonly<Record<string, unknown>>;

const small = publishedQwen3Vl['2B'];
const { rope_scaling: scaling, rope_theta: theta } = small.text_config;
const withText = (change: Json): Json => ({ ...small, text_config: { ...small.text_config, ...change } });
const withVision = (change: Json): Json => ({ ...small, vision_config: { ...small.vision_config, ...change } });

const scaled = 'must be "default": scaled positions are not implemented';
const sumRule = 'three numbers that add up to half of head_dim, 64';
const rope = (change: Json) => withText({ rope_scaling: { ...scaling, ...change } });

describe('refused by name', () => {
  it.each<[string, Json, string]>([
    [
      'an unknown key',
      { ...small, vision_sinks: 1 },
      'unknown keys vision_sinks (wgrank does not know what they change',
    ],
    ['an unknown key of the text', withText({ attention_sinks: 1 }), 'unknown keys text_config.attention_sinks ('],
    ['an unknown key of the vision', withVision({ window_size: 112 }), 'unknown keys vision_config.window_size ('],
    ['an unknown key of the positions', rope({ factor: 2 }), 'unknown keys text_config.rope_scaling.factor ('],
    [
      'an unknown key of the tower’s positions',
      withVision({ rope_parameters: { rope_type: 'axial', factor: 2 } }),
      'unknown keys vision_config.rope_parameters.factor (',
    ],
    ['code', { ...small, auto_map: { AutoModel: 'x.Y' } }, 'auto_map is an object of 1 keys (code that comes with'],
    [
      'quantised weights',
      { ...small, quantization_config: { bits: 4 } },
      'quantization_config is an object of 1 keys (quantised checkpoints are not implemented',
    ],
    [
      'sections of too few angles',
      rope({ mrope_section: [24, 20, 19] }),
      `text_config.rope_scaling.mrope_section is [24, 20, 19] (${sumRule})`,
    ],
    [
      'sections of too many',
      rope({ mrope_section: [25, 20, 20] }),
      `text_config.rope_scaling.mrope_section is [25, 20, 20] (${sumRule})`,
    ],
    [
      'two sections',
      rope({ mrope_section: [32, 32] }),
      `text_config.rope_scaling.mrope_section is [32, 32] (${sumRule})`,
    ],
    [
      'four sections',
      rope({ mrope_section: [24, 20, 20, 0] }),
      `text_config.rope_scaling.mrope_section is [24, 20, 20, 0] (${sumRule})`,
    ],
    ['no sections', rope({ mrope_section: undefined }), 'lacks text_config.rope_scaling.mrope_section ('],
    [
      'sections of text',
      rope({ mrope_section: ['24', '20', '20'] }),
      'text_config.rope_scaling.mrope_section is ["24", "20", "20"] (an array of whole',
    ],
    [
      'a negative section',
      rope({ mrope_section: [84, -10, -10] }),
      'text_config.rope_scaling.mrope_section is [84, -10, -10] (an array of whole',
    ],
    [
      'sections in blocks',
      rope({ mrope_interleaved: false }),
      'text_config.rope_scaling.mrope_interleaved is false (true: angles of the axes in blocks are those of Qwen2-VL)',
    ],
    ['YaRN', rope({ rope_type: 'yarn' }), `text_config.rope_scaling.rope_type is "yarn" (${scaled})`],
    ['YaRN of old', rope({ type: 'yarn' }), `text_config.rope_scaling.type is "yarn" (${scaled})`],
    ['no positions', withText({ rope_scaling: undefined }), 'lacks text_config.rope_scaling (an object)'],
    [
      'positions said twice',
      withText({ rope_parameters: { ...scaling, mrope_section: [20, 22, 22], rope_theta: theta } }),
      'text_config.rope_scaling is an object of 3 keys (rope_parameters is there, too, and they mean the same: keep one)',
    ],
    [
      'two thetas',
      rope({ rope_theta: 10_000 }),
      'text_config.rope_theta is 5000000 (rope_scaling says 10000, and they mean the same)',
    ],
    [
      'two thetas, as transformers 5 writes',
      { ...saved5, text_config: { ...saved5.text_config, rope_theta: 10_000 } },
      'text_config.rope_theta is 10000 (rope_parameters says 5000000, and they mean the same)',
    ],
    ['no theta', withText({ rope_theta: undefined }), 'lacks text_config.rope_theta (a number)'],
    ['no head size', withText({ head_dim: undefined }), 'lacks text_config.head_dim (a whole number'],
    [
      'an odd head',
      withText({ head_dim: 12, rope_scaling: { ...scaling, mrope_section: [2, 2, 2] } }),
      'text_config.head_dim is 12 (a multiple of 8 up to 256)',
    ],
    [
      'another activation of the text',
      withText({ hidden_act: 'gelu' }),
      'text_config.hidden_act is "gelu" (only "silu")',
    ],
    ['biases', withText({ attention_bias: true }), 'text_config.attention_bias is true (must be false'],
    ['windows', withText({ use_sliding_window: true }), 'text_config.use_sliding_window is true (must be false'],
    [
      'key-value heads that do not divide',
      withText({ num_key_value_heads: 3 }),
      'text_config.num_key_value_heads is 3 (a divisor of the 16 heads)',
    ],
    [
      'another activation of the vision',
      withVision({ hidden_act: 'gelu' }),
      'vision_config.hidden_act is "gelu" (only "gelu_pytorch_tanh")',
    ],
    [
      'no activation',
      withVision({ hidden_act: undefined }),
      'lacks vision_config.hidden_act (only "gelu_pytorch_tanh")',
    ],
    [
      'grey pictures',
      withVision({ in_channels: 1 }),
      'vision_config.in_channels is 1 (must be 3: pictures have red, green and blue)',
    ],
    [
      'rows of another width than the text’s',
      withVision({ out_hidden_size: 4096 }),
      "vision_config.out_hidden_size is 4096 (must be 2048: what the tower says is read as the language model's embeddings)",
    ],
    [
      'other turns',
      withVision({ rope_parameters: { rope_type: 'default' } }),
      'vision_config.rope_parameters.rope_type is "default" (must be "axial"',
    ],
    [
      'heads that do not divide',
      withVision({ num_heads: 12 }),
      'vision_config.num_heads is 12 (a divisor of hidden_size 1024 that leaves heads of a multiple of 8 up to 256)',
    ],
    ['heads of 4', withVision({ num_heads: 256 }), 'vision_config.num_heads is 256 (a divisor of'],
    ['heads of 512', withVision({ num_heads: 2 }), 'vision_config.num_heads is 2 (a divisor of'],
    [
      'a table that is no square',
      withVision({ num_position_embeddings: 2303 }),
      'vision_config.num_position_embeddings is 2303 (a square: the table has rows and columns)',
    ],
    [
      'patches of one frame',
      withVision({ temporal_patch_size: 1 }),
      'vision_config.temporal_patch_size is 1 (a whole number from 2 to 2)',
    ],
    ['odd patches', withVision({ patch_size: 14 }), 'vision_config.patch_size is 14 (a multiple of 4'],
    [
      'no blocks to merge',
      withVision({ spatial_merge_size: 0 }),
      'vision_config.spatial_merge_size is 0 (a whole number from 1 to 8)',
    ],
    [
      'DeepStack in another order',
      withVision({ deepstack_visual_indexes: [11, 5, 17] }),
      'vision_config.deepstack_visual_indexes is [11, 5, 17] (ascending)',
    ],
    [
      'one block twice',
      withVision({ deepstack_visual_indexes: [5, 5] }),
      'vision_config.deepstack_visual_indexes is [5, 5] (ascending)',
    ],
    [
      'a block that is not there',
      withVision({ deepstack_visual_indexes: [5, 24] }),
      'vision_config.deepstack_visual_indexes is [5, 24] (an array of whole numbers from 0 to 23)',
    ],
    [
      'no DeepStack key',
      withVision({ deepstack_visual_indexes: undefined }),
      'lacks vision_config.deepstack_visual_indexes (',
    ],
    [
      'a picture beyond the vocabulary',
      { ...small, image_token_id: 151_936 },
      'image_token_id is 151936 (a whole number from 0 to 151935)',
    ],
    ['no clips', { ...small, video_token_id: undefined }, 'lacks video_token_id (a whole number from 0 to 151935)'],
    [
      'one token for both',
      { ...small, video_token_id: 151_655 },
      'video_token_id is 151655 (another one than image_token_id)',
    ],
    ['no text', { ...small, text_config: undefined }, 'lacks text_config (an object)'],
    ['no vision', { ...small, vision_config: null }, 'vision_config is null (an object)'],
  ])('%s', (_, json, message) => {
    let error: unknown;
    try {
      decodeQwen3VlConfig(parseConfig(json));
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'config-invalid' });
    expect(String(error)).toContain(`[config] config.json: ${message}`);
  });
});
