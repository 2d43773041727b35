import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ExpectedTensors } from '../../src/checkpoint/expected-tensors.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { Graph } from '../../src/graph/graph.ts';
import { decodeQwen3VlConfig, qwen3VlFromConfig } from '../../src/models/qwen3-vl-config.ts';
import { shareVisualRows } from '../../src/models/qwen3-vl.ts';
import { Net } from '../../src/nn/net.ts';
import { noRow } from '../../src/ops/inject-rows.ts';
import {
  parseConfig as parse,
  publishedQwen3Vl,
  qwen3VlTensors,
  savedByTransformers5,
} from '../support/published-qwen3-vl.ts';

type Json = Readonly<Record<string, unknown>>;

const decode = (json: Json) => decodeQwen3VlConfig(parse(json));
const small = publishedQwen3Vl['2B'];
const { rope_scaling: scaling, rope_theta: theta } = small.text_config;

const withText = (change: Json): Json => ({ ...small, text_config: { ...small.text_config, ...change } });
const withVision = (change: Json): Json => ({ ...small, vision_config: { ...small.vision_config, ...change } });

const text = {
  kvHeads: 8,
  headSize: 128,
  vocabulary: 151_936,
  positions: 262_144,
  ropeTheta: 5_000_000,
  rotaryAxes: { kind: 'interleaved', sections: [24, 20, 20] },
  rmsNormEps: 1e-6,
  attentionBias: false,
  headNorms: true,
  labels: undefined,
};
const vision = { heads: 16, patchSize: 16, temporalPatchSize: 2, mergeSize: 2, tableSide: 48, ropeTheta: 10_000 };

describe('published forms', () => {
  it('Qwen3-VL-Reranker-2B and -8B', () => {
    expect(decode(small)).toEqual({
      text: { ...text, hidden: 2048, layers: 28, heads: 16, intermediate: 6144, tied: true },
      vision: { ...vision, hidden: 1024, depth: 24, intermediate: 4096, deepstack: [5, 11, 17] },
      imageToken: 151_655,
      videoToken: 151_656,
    });
    expect(decode(publishedQwen3Vl['8B'])).toEqual({
      text: { ...text, hidden: 4096, layers: 36, heads: 32, intermediate: 12_288, tied: false },
      vision: { ...vision, hidden: 1152, depth: 27, intermediate: 4304, deepstack: [8, 16, 24] },
      imageToken: 151_655,
      videoToken: 151_656,
    });
  });

  it('as transformers 5 writes them', () => {
    expect(decode(savedByTransformers5)).toEqual(decode(small));
  });

  it.each<[string, Json]>([
    ['the embedded model', JSON.parse(readFileSync('weights/tiny-qwen3-vl-reranker/config.json', 'utf8')) as Json],
    ...['a', 'b', 'c'].map((name): [string, Json] => [
      `fixture ${name}`,
      JSON.parse(readFileSync(`test/golden/fixtures/qwen3-vl-${name}/config.json`, 'utf8')) as Json,
    ]),
  ])('%s', (_, json) => {
    expect(() => decode(json)).not.toThrow();
  });

  it.each<[string, Json, object]>([
    [
      'tied as the whole model says',
      { ...small, text_config: { ...small.text_config, tie_word_embeddings: undefined } },
      { tied: true },
    ],
    ['tied as the text model says', { ...small, tie_word_embeddings: undefined }, { tied: true }],
    ['an lm_head of its own', withText({ tie_word_embeddings: undefined }), { tied: true }],
    [
      'theta within rope_scaling',
      withText({ rope_theta: undefined, rope_scaling: { ...scaling, rope_theta: 1e6 } }),
      { ropeTheta: 1e6 },
    ],
    ['theta in both places', withText({ rope_scaling: { ...scaling, rope_theta: theta } }), {}],
    ['interleaved without saying so', withText({ rope_scaling: { ...scaling, mrope_interleaved: undefined } }), {}],
    ['both names of the default', withText({ rope_scaling: { ...scaling, type: 'default' } }), {}],
    ['one key-value head per head', withText({ num_key_value_heads: undefined }), { kvHeads: 16 }],
  ])('%s', (_, json, expected) => {
    expect(decode(json)).toEqual({ ...decode(small), text: { ...decode(small).text, ...expected } });
  });

  it.each<[string, Json, object]>([
    ['another theta of the tower', { rope_parameters: { rope_theta: 500, rope_type: 'axial' } }, { ropeTheta: 500 }],
    ['no theta of the tower', { rope_parameters: { rope_type: 'axial' } }, {}],
    ['no channels', { in_channels: undefined }, {}],
    ['no out_hidden_size', { out_hidden_size: undefined }, {}],
    ['no DeepStack', { deepstack_visual_indexes: [] }, { deepstack: [] }],
    ['larger blocks', { spatial_merge_size: 4 }, { mergeSize: 4 }],
    ['a small table', { num_position_embeddings: 1 }, { tableSide: 1 }],
  ])('%s', (_, change, expected) => {
    expect(decode(withVision(change))).toEqual({ ...decode(small), vision: { ...decode(small).vision, ...expected } });
  });

  it('say what the engine needs to know', () => {
    const model = qwen3VlFromConfig(parse(small));
    expect(model).toMatchObject({
      maxTokens: 262_144,
      vocabularySize: 151_936,
      activation: 'sigmoid',
      scoredByTokens: true,
      warnings: [],
      // 6144 numbers of four bytes, in the gate.
      widestRowBytes: 24_576,
      dimensions: { layers: 28, hidden: 2048 },
      // 4096 numbers of four bytes, in the tower's feed-forward layer.
      vision: {
        patchSize: 16,
        temporalPatchSize: 2,
        mergeSize: 2,
        imageToken: 151_655,
        videoToken: 151_656,
        widestRowBytes: 16_384,
      },
    });
    const large = qwen3VlFromConfig(parse(publishedQwen3Vl['8B']));
    expect([large.widestRowBytes, large.vision!.widestRowBytes]).toEqual([4 * 12_288, 4 * 4304]);
  });
});

describe('the checkpoint', () => {
  it.each([
    ['2B', 2_127_532_032, 625],
    ['8B', 8_767_123_696, 750],
  ] as const)('of Qwen3-VL-Reranker-%s has %i parameters in %i tensors', (size, parameters, tensors) => {
    const expected = new ExpectedTensors('BF16');
    const weights = Weights.of({ tensors: expected }, 'bf16', 2 ** 31 - 4);
    const net = new Net(new Graph(), { software: false, subgroupSize: 32 });
    const scoring = { yes: 9693, no: 2152 };
    const pixels = { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] } as const;
    const vision = { rows: 1024, patches: 4096, pixels };
    const unprepared = () =>
      qwen3VlFromConfig(parse(publishedQwen3Vl[size])).record(net, weights, { maxTokens: 8, scoring });
    expect(unprepared).toThrow(expect.objectContaining({ code: 'config-invalid' }));
    qwen3VlFromConfig(parse(publishedQwen3Vl[size])).record(net, weights, { maxTokens: 1024, vision, scoring });
    const asked = [...expected.values()].map(({ name, shape }) => [name, shape]);
    expect(Object.fromEntries(asked)).toEqual(qwen3VlTensors(publishedQwen3Vl[size]));
    const count = [...expected.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect([count, asked.length]).toEqual([parameters, tensors]);
  });
});

describe('the ids of a batch', () => {
  it('name rows of the stores by their complement', () => {
    const ids = Uint32Array.from(Int32Array.of(5, ~0, ~7, 151_935, ~(2 ** 31 - 2), 0));
    const batch = { sizes: { T: 6 }, inputs: { ids, positions: new Uint32Array(6) } };
    const shared = shareVisualRows(batch, 151_655);
    expect([...shared.inputs['ids']!]).toEqual([5, 151_655, 151_655, 151_935, 151_655, 0]);
    expect([...shared.inputs['visualRows']!]).toEqual([noRow, 0, 7, noRow, 2 ** 31 - 2, noRow]);
    expect(shared.inputs['positions']).toBe(batch.inputs.positions);
    expect(ids[1]).toBe(2 ** 32 - 1);
  });
});
