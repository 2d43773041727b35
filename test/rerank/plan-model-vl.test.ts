import { describe, expect, it } from 'vitest';
import { ExpectedTensors } from '../../src/checkpoint/expected-tensors.ts';
import { qwen3VlFromConfig } from '../../src/models/qwen3-vl-config.ts';
import { planModel, type AdapterFacts, type PlanRequest } from '../../src/rerank/plan-model.ts';
import { lavapipe, mib, nvidia } from '../support/adapter-facts.ts';
import { parseConfig as parse, publishedQwen3Vl } from '../support/published-qwen3-vl.ts';

/** A plan of a model that sees, with the largest picture that its published preprocessor_config.json allows. */
function planVl(
  size: keyof typeof publishedQwen3Vl,
  adapter: AdapterFacts,
  options: PlanRequest['options'] = {},
  imagePixels = 1_310_720,
) {
  const tensors = new ExpectedTensors('BF16');
  const media = { pixels: { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] }, imagePixels } as const;
  const model = qwen3VlFromConfig(parse(publishedQwen3Vl[size]));
  // What the official code's limit comes to.
  const asked = { maxLength: 10_245, ...options };
  return planModel({
    model,
    tensors,
    stored: 'bf16',
    scoring: { yes: 9693, no: 2152 },
    media,
    adapter,
    options: asked,
  });
}

const cut = (tokens: number) => `pairs are cut to ${tokens} tokens instead of 10245: the adapter binds no more at once`;

describe('a plan of a model that sees', () => {
  it.each(['2B', '8B'] as const)('counts every weight of the %s once', (size) => {
    const published = { '2B': 2_127_532_032, '8B': 8_767_123_696 }[size];
    const { text_config: text, vision_config: vision } = publishedQwen3Vl[size];
    const { bytes, vision: tower, limits } = planVl(size, nvidia, { maxLength: 1024 });
    const [hidden, seen] = [text.hidden_size, vision.hidden_size];
    // f32: norms, biases, the vector that is scored, and the two tables of turns.
    const norms = text.num_hidden_layers * (2 * hidden + 2 * 128) + hidden;
    const ofBlocks = vision.depth * (4 * seen + 3 * seen + seen + vision.intermediate_size + seen);
    const ofMergers = 2 * seen + 3 * 8 * seen + 4 * (4 * seen + hidden) + seen;
    const small = norms + ofBlocks + ofMergers;
    const turns = 1024 * 128 + (limits.visionPatches / 2) * (seen / 16);
    const added = turns + hidden + 1;
    const untied = size === '8B' ? text.vocab_size * hidden : 0;
    expect(bytes.weights).toBe(2 * (published - small - untied) + 4 * (small + added));
    expect(tower!.features).toHaveLength(4);
  });

  it('has a store of as many rows as the batch has tokens, for the tower’s end and each DeepStack', () => {
    const { graph, bytes, limits, vision } = planVl('2B', nvidia, { maxBatchTokens: 2048, maxLength: 1024 });
    expect(limits).toMatchObject({ maxTokens: 1024, batchTokens: 2048, capacityTokens: 2048, visionPatches: 32_768 });
    expect(graph.stores.map(({ shape }) => shape)).toEqual(Array.from({ length: 4 }, () => [2048, 2048]));
    expect(bytes.stores).toBe(4 * 2048 * 2048 * 4);
    expect(vision!.features.map(({ store }) => store)).toEqual(graph.stores);
    expect(vision!.graph.stores).toEqual([]);
    expect(vision!.graph.outputs).toEqual(vision!.features.map(({ rows }) => rows));
    expect(vision!.capacity).toMatchObject({ P: 32_768, M: 8192, B: (32_768 * 16 * 16 * 6) / 4 });
    // A long pair may show more than a batch.
    expect(planVl('2B', nvidia, { maxBatchTokens: 2048 }).graph.stores[0]!.shape).toEqual([10_245, 2048]);
  });

  it('has no store that nothing reads: behind the last layer only the scored tokens are left', () => {
    const { text_config: text } = publishedQwen3Vl['2B'];
    const shallow = { ...publishedQwen3Vl['2B'], text_config: { ...text, num_hidden_layers: 2 } };
    const request = {
      tensors: new ExpectedTensors('BF16'),
      stored: 'bf16',
      scoring: { yes: 1 },
      media: { pixels: { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] }, imagePixels: 2 ** 20 },
      adapter: nvidia,
    } as const;
    const plan = planModel({ ...request, model: qwen3VlFromConfig(parse(shallow)), options: { maxLength: 64 } });
    expect(plan.graph.stores).toHaveLength(2);
  });

  it.each<[string, AdapterFacts, keyof typeof publishedQwen3Vl, object]>([
    [
      'GPUs want many patches',
      nvidia,
      '2B',
      { maxTokens: 10_245, batchTokens: 16_384, visionPatches: 32_768, warnings: [] },
    ],
    ['of the 8B, too', nvidia, '8B', { maxTokens: 10_245, batchTokens: 16_384, visionPatches: 32_768, warnings: [] }],
    // The widest row of the text has 6144 numbers of four bytes.
    [
      'CPUs want fewer',
      lavapipe,
      '2B',
      { maxTokens: 5461, batchTokens: 1024, visionPatches: 8192, warnings: [cut(5461)] },
    ],
    [
      'and as many as they bind',
      lavapipe,
      '8B',
      { maxTokens: 2730, batchTokens: 1024, visionPatches: 7796, warnings: [cut(2730)] },
    ],
  ])('%s', (_, adapter, size, limits) => {
    const { limits: found, misfits } = planVl(size, adapter);
    expect(found).toMatchObject(limits);
    expect(misfits).toEqual([]);
  });

  it('takes as many patches as the largest picture has, and no fewer than suits the adapter', () => {
    const wide = { ...lavapipe, bindingBytes: nvidia.bindingBytes };
    expect([4096, 8192 * 256, 8196 * 256].map((pixels) => planVl('2B', wide, {}, pixels).limits.visionPatches)).toEqual(
      [8192, 8192, 8196],
    );
    expect(planVl('2B', nvidia, {}, 4096).limits.visionPatches).toBe(32_768);
    expect(planVl('2B', nvidia, {}, 16_777_216).limits.visionPatches).toBe(65_536);
  });

  const promised = { ...nvidia, bindingBytes: 128 * mib, bufferBytes: 256 * mib };

  it('says when pictures that the checkpoint allows do not fit, and only then', () => {
    // The tower's widest row has 4096 numbers of four bytes: 8192 patches are bound at once.
    expect(planVl('2B', promised).limits).toMatchObject({ visionPatches: 8192, warnings: [cut(5461)] });
    expect(planVl('2B', promised, {}, 8192 * 256).limits).toMatchObject({ visionPatches: 8192, warnings: [cut(5461)] });
    const { limits } = planVl('2B', promised, {}, 16_777_216);
    expect(limits.visionPatches).toBe(8192);
    expect(limits.warnings).toEqual([
      cut(5461),
      'pictures of more than 2097152 pixels are refused, though the checkpoint allows 16777216: the adapter binds no more at once',
    ]);
  });

  it('takes whole tokens only', () => {
    const { limits } = planVl('8B', promised, {}, 16_777_216);
    // 128 MiB hold 7796.1 rows of 4304 numbers.
    expect(limits.visionPatches).toBe(7796);
    const { limits: odd } = planVl('8B', { ...promised, bindingBytes: 7799 * 4304 * 4 }, {}, 16_777_216);
    expect(odd.visionPatches).toBe(7796);
    expect(odd.warnings[1]).toContain(`pictures of more than ${7796 * 256} pixels are refused`);
  });

  it('counts the tower’s memory, too', () => {
    const [few, many] = [4096, 16_777_216].map((pixels) =>
      planVl('2B', nvidia, { maxLength: 512, maxBatchTokens: 512 }, pixels),
    );
    expect(many!.bytes.arenas).toBeGreaterThan(1.9 * few!.bytes.arenas);
    expect(many!.bytes.inputs).toBeGreaterThan(1.9 * few!.bytes.inputs);
    expect(many!.bytes.stores).toBe(few!.bytes.stores);
    const { weights, arenas, inputs, stores, staging } = few!.bytes;
    const needed = weights + arenas + inputs + stores + staging;
    const misfits = (memoryBytes: number) =>
      planVl('2B', { ...nvidia, memoryBytes }, { maxLength: 512, maxBatchTokens: 512 }, 4096).misfits;
    expect(misfits(needed)).toEqual([]);
    expect(misfits(needed - 1)).toHaveLength(1);
  });
});
