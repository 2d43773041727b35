import { neutralConfigKeys } from '../checkpoint/config-keys.ts';
import { ConfigReader } from '../checkpoint/config.ts';
import type { JsonValue } from '../checkpoint/json-value.ts';
import { layOutFrames, visualCapacity } from '../nn/visual-batch.ts';
import { visualPositions } from '../nn/visual-positions.ts';
import type { Model, ModelOptions, VisionModel } from './model.ts';
import {
  decoderModel,
  multipleOfFour,
  readDecoder,
  refuseUnknownCode,
  sizes,
  type Qwen3Config,
} from './qwen3-config.ts';
import { recordQwen3Vl, shareVisualRows } from './qwen3-vl.ts';

/** The vision tower. */
export interface VisionConfig {
  readonly hidden: number;
  readonly depth: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  /** Patches along the side of what becomes one token. */
  readonly mergeSize: number;
  /** Rows and columns of the learned position table. */
  readonly tableSide: number;
  readonly ropeTheta: number;
  /** Blocks, from 0, behind which a merger hands features to the language model's first layers, in order. */
  readonly deepstack: readonly number[];
}

/** Qwen3-VL as a reranker: what sees, and a Qwen3 that reads. */
export interface Qwen3VlConfig {
  readonly text: Qwen3Config;
  readonly vision: VisionConfig;
  readonly imageToken: number;
  readonly videoToken: number;
}

/** Strict, as every configuration here. @throws WgrankError `config-invalid` */
export function decodeQwen3VlConfig(json: JsonValue): Qwen3VlConfig {
  const config = new ConfigReader(json, 'config.json');
  config.ignore([...Object.keys(neutralConfigKeys), 'architectures', 'model_type', 'pad_token_id']);
  config.ignore(['vision_start_token_id', 'vision_end_token_id']); // the prompt has them
  refuseUnknownCode(config);
  const text = config.object('text_config');
  const tied = [config, text].map((reader) => reader.optionalBoolean('tie_word_embeddings'));
  const decoder = readDecoder(text, false, readInterleavedRope(text));
  const vision = readVision(config.object('vision_config'), decoder.hidden);
  const id = { min: 0, max: decoder.vocabulary - 1 };
  const decoded = {
    text: { ...decoder, tied: tied[0] ?? tied[1] ?? false, labels: undefined },
    vision,
    imageToken: config.integer('image_token_id', id),
    videoToken: config.integer('video_token_id', id),
  };
  if (decoded.videoToken === decoded.imageToken) throw config.fail('video_token_id', 'another one than image_token_id');
  config.finish();
  return decoded;
}

/** `rope_scaling` beside `rope_theta` as transformers 4 writes it, or `rope_parameters` as transformers 5 does. */
function readInterleavedRope(config: ConfigReader) {
  const [current, former] = ['rope_parameters', 'rope_scaling'] as const;
  const key = config.has(current) ? current : former;
  // transformers 5 would take the former.
  if (key === current && config.has(former))
    throw config.fail(former, `${current} is there, too, and they mean the same: keep one`);
  config.ignore([current, former]);
  const rope = config.object(key);
  rope.mustBe('rope_type', 'default', 'scaled positions are not implemented');
  rope.mustBe('type', 'default', 'scaled positions are not implemented');
  if (rope.optionalBoolean('mrope_interleaved') === false)
    throw rope.fail('mrope_interleaved', 'true: angles of the axes in blocks are those of Qwen2-VL');
  const sections = rope.integers('mrope_section', { min: 0, max: 1024 });
  const range = { min: 1, max: 1e12 };
  const [nested, flat] = [rope.optionalNumber('rope_theta', range), config.optionalNumber('rope_theta', range)];
  const theta = nested ?? flat;
  if (theta === undefined) throw config.fail('rope_theta', 'a number');
  if (flat !== undefined && flat !== theta)
    throw config.fail('rope_theta', `${key} says ${theta}, and they mean the same`);
  const [time, row, column] = sections;
  // Required: without it Hugging Face takes 128, whatever the heads.
  const half = config.integer('head_dim', sizes) / 2;
  if (sections.length !== 3 || time! + row! + column! !== half)
    throw rope.fail('mrope_section', `three numbers that add up to half of head_dim, ${half}`);
  return { theta, axes: { kind: 'interleaved', sections: [time!, row!, column!] } } as const;
}

function readVision(config: ConfigReader, textHidden: number): VisionConfig {
  config.ignore([...Object.keys(neutralConfigKeys), 'model_type']);
  config.oneOf('hidden_act', ['gelu_pytorch_tanh']);
  config.mustBe('in_channels', 3, 'pictures have red, green and blue');
  config.mustBe('out_hidden_size', textHidden, "what the tower says is read as the language model's embeddings");
  const rope = config.optionalObject('rope_parameters');
  rope?.mustBe('rope_type', 'axial', 'other turns of the vision tower are not implemented');
  const hidden = multipleOfFour(config, 'hidden_size');
  const heads = config.integer('num_heads', sizes);
  if (hidden % heads !== 0 || (hidden / heads) % 8 !== 0 || hidden / heads > 256)
    throw config.fail('num_heads', `a divisor of hidden_size ${hidden} that leaves heads of a multiple of 8 up to 256`);
  const table = config.integer('num_position_embeddings', { min: 1, max: 2 ** 24 });
  const tableSide = Math.round(Math.sqrt(table));
  if (tableSide ** 2 !== table)
    throw config.fail('num_position_embeddings', 'a square: the table has rows and columns');
  const depth = config.integer('depth', { min: 1, max: 1000 });
  const deepstack = config.integers('deepstack_visual_indexes', { min: 0, max: depth - 1 });
  if (deepstack.some((block, i) => i > 0 && block <= deepstack[i - 1]!))
    throw config.fail('deepstack_visual_indexes', 'ascending');
  return {
    hidden,
    depth,
    heads,
    intermediate: multipleOfFour(config, 'intermediate_size'),
    patchSize: multipleOfFour(config, 'patch_size'),
    temporalPatchSize: config.integer('temporal_patch_size', { min: 2, max: 2 }),
    mergeSize: config.integer('spatial_merge_size', { min: 1, max: 8 }),
    tableSide,
    ropeTheta: rope?.optionalNumber('rope_theta', { min: 1, max: 1e12 }) ?? 10_000,
    deepstack,
  };
}

/** The model that a config.json describes. */
export function qwen3VlFromConfig(json: JsonValue, { sharePrefix = true }: ModelOptions = {}): Model {
  const c = decodeQwen3VlConfig(json);
  const decoder = decoderModel(c.text, sharePrefix);
  return {
    ...decoder,
    scoredByTokens: true,
    warnings: [],
    vision: visionModel(c),
    record: (net, weights, context) => recordQwen3Vl(net, weights, c, context),
    batch: (sequences, tileRows, positions) =>
      shareVisualRows(
        decoder.batch(sequences, tileRows, positions ?? sequences.map(({ length }) => visualPositions(length, []))),
        c.imageToken,
      ),
  };
}

function visionModel({ vision: v, imageToken, videoToken }: Qwen3VlConfig): VisionModel {
  const patch = 3 * v.temporalPatchSize * v.patchSize ** 2;
  return {
    ...v,
    imageToken,
    videoToken,
    widestRowBytes: 4 * Math.max(patch, v.intermediate, 2 * v.hidden),
    capacity: (patches, tileRows) => visualCapacity(patches, v, tileRows),
    batch: (frames, tileRows) => layOutFrames(frames, v, tileRows),
    positions: visualPositions,
  };
}
