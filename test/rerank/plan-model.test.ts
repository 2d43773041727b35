import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExpectedTensors } from '../../src/checkpoint/expected-tensors.ts';
import { parseJson } from '../../src/checkpoint/json-value.ts';
import { qwen3FromConfig } from '../../src/models/qwen3-config.ts';
import { inspectModel } from '../../src/rerank/inspect-model-node.ts';
import { loadEngine } from '../../src/rerank/load-engine-node.ts';
import { planModel, type AdapterFacts, type PlanRequest } from '../../src/rerank/plan-model.ts';
import { gib, lavapipe, mib, nvidia } from '../support/adapter-facts.ts';
import { publishedQwen3, qwen3Tensors, writeSparseQwen3, type Qwen3Json } from '../support/sparse-qwen3.ts';

const parse = (config: object) =>
  parseJson(new TextEncoder().encode(JSON.stringify(config)), (detail) => new Error(detail));
const modelOf = (config: Qwen3Json) => qwen3FromConfig(parse(config));

function plan(size: keyof typeof publishedQwen3, adapter: AdapterFacts, options: PlanRequest['options'] = {}) {
  const tensors = new ExpectedTensors('BF16');
  const scoring = { yes: 9693, no: 2152 };
  const model = modelOf(publishedQwen3[size]);
  return { tensors, ...planModel({ model, tensors, stored: 'bf16', scoring, adapter, options }) };
}

describe('what is expected of a checkpoint that is not there', () => {
  it.each(['0.6B', '4B', '8B'] as const)('is what Qwen3-Reranker-%s holds', (size) => {
    const asked = [...plan(size, nvidia).tensors.values()].map(({ name, shape }) => [name, shape]);
    expect(Object.fromEntries(asked)).toEqual(qwen3Tensors(publishedQwen3[size]));
  });
});

describe('a plan', () => {
  it('counts every weight once, in the dtype that it gets on the GPU', () => {
    const { bytes, storage } = plan('0.6B', nvidia, { maxLength: 1024 });
    // Published parameters; norms are f32; the rotary table, the scored vector and its bias come on top.
    const [published, norms] = [595_776_512, 28 * (2 * 1024 + 2 * 128) + 1024];
    const table = 1024 * 128;
    expect(storage).toBe('bf16');
    expect(bytes.weights).toBe(2 * (published - norms) + 4 * (norms + table + 1024 + 1));
    expect(plan('0.6B', nvidia, { maxLength: 1024, dtype: 'f32' }).bytes.weights).toBe(
      4 * (published + table + 1024 + 1),
    );
  });

  it('fits batch and pairs to the adapter’s bindings, and says when it cuts', () => {
    // The widest row has 12288 numbers of 4 bytes.
    const bindable = Math.floor((128 * mib) / 49_152);
    const { limits, capacity, largestBinding } = plan(
      '8B',
      { ...lavapipe, traits: nvidia.traits },
      { maxLength: 8192 },
    );
    expect(limits).toMatchObject({
      maxTokens: bindable,
      batchTokens: bindable,
      capacityTokens: bindable,
      batchPairs: 1024,
    });
    expect(limits.warnings).toEqual([
      `pairs are cut to ${bindable} tokens instead of 8192: the adapter binds no more at once`,
    ]);
    expect(capacity).toMatchObject({ T: bindable, S: 1024 });
    expect(largestBinding.bytes).toBeGreaterThan(128 * mib - 49_152);
    expect(largestBinding.bytes).toBeLessThanOrEqual(128 * mib);
  });

  it.each<[string, AdapterFacts, PlanRequest['options'], object]>([
    ['GPUs want many tokens', nvidia, {}, { maxTokens: 16_384, batchTokens: 16_384, batchPairs: 1024 }],
    ['CPUs want few', lavapipe, {}, { maxTokens: 10_922, batchTokens: 1024, capacityTokens: 10_922 }],
    ['the operator decides', nvidia, { maxLength: 512, maxBatchTokens: 2048 }, { maxTokens: 512, batchTokens: 2048 }],
    [
      'a long pair needs room',
      nvidia,
      { maxLength: 4096, maxBatchTokens: 512 },
      { batchTokens: 512, capacityTokens: 4096 },
    ],
    ['few tokens are few pairs', nvidia, { maxLength: 64, maxBatchTokens: 100 }, { batchTokens: 100, batchPairs: 100 }],
  ])('%s', (_, adapter, options, limits) => {
    expect(plan('0.6B', adapter, { maxLength: 16_384, ...options }).limits).toMatchObject(limits);
  });

  it('asks more memory for more tokens', () => {
    const [few, many] = [2048, 4096].map((tokens) => plan('0.6B', nvidia, { maxLength: 512, maxBatchTokens: tokens }));
    expect(many!.bytes.arenas).toBeGreaterThan(1.5 * few!.bytes.arenas);
    expect(many!.bytes.weights).toBe(few!.bytes.weights);
  });

  it('refuses more tokens than the model reads', () => {
    expect(() => plan('0.6B', nvidia, { maxLength: 40_961 })).toThrow(
      '[load] --max-length is 40961 (the model reads at most 40960 tokens)',
    );
  });

  it('refuses an adapter that cannot bind a handful of tokens', () => {
    expect(() => plan('8B', { ...nvidia, bindingBytes: mib / 2 })).toThrow(
      `[load] a token's activations take 49152 bytes (the adapter binds at most ${mib / 2}: 10 tokens, and a pair needs 16)`,
    );
  });
});

const gate = (dtype: string) => `model.layers.0.mlp.gate_proj.weight ${dtype}[12288, 4096]`;

describe('a model that does not fit', () => {
  it('is none on an adapter that holds it', () => {
    for (const size of ['0.6B', '4B', '8B'] as const) {
      expect(plan(size, nvidia).misfits).toEqual([]);
      expect(plan(size, lavapipe).misfits).toEqual([]);
    }
  });

  it('has a weight beyond a binding, which no option changes', () => {
    // Gate, up and down of 36 layers.
    expect(plan('8B', { ...nvidia, bindingBytes: 64 * mib }).misfits).toEqual([
      `${gate('bf16')} needs 100663296 bytes, and 107 more like it are too large (the adapter binds at most ` +
        '67108864; no option makes it fit: this model needs an adapter with larger bindings, such as a GPU)',
    ]);
  });

  it('has one that halved weights bring within it', () => {
    expect(plan('8B', { ...nvidia, bindingBytes: 128 * mib }, { dtype: 'f32' }).misfits).toEqual([
      `${gate('f32')} needs 201326592 bytes, and 107 more like it are too large (the adapter binds at most 134217728; ` +
        'with --dtype bfloat16 they fit)',
    ]);
  });

  const wide = { ...lavapipe, bindingBytes: 2 * gib - 4 };

  it('needs more memory, arenas included, than there is', () => {
    const [misfit, ...others] = plan('8B', wide, { dtype: 'f32', maxLength: 8192 }).misfits;
    expect(others).toEqual([]);
    expect(misfit).toMatch(
      /^it needs \d+\.\d GiB of memory: 28\.\d GiB for weights as f32, [1-9]\.\d GiB for activations of 8192 tokens \(there are 24\.0 GiB; with --dtype bfloat16 it needs 1[56]\.\d GiB\)$/,
    );
  });

  it('is one by a byte, and fewer tokens help', () => {
    const full = plan('8B', wide, { maxLength: 8192 });
    const { weights, arenas, inputs, staging } = full.bytes;
    const needed = weights + arenas + inputs + staging;
    const withMemory = (memoryBytes: number) => plan('8B', { ...wide, memoryBytes }, { maxLength: 8192 }).misfits;
    expect(withMemory(needed)).toEqual([]);
    expect(withMemory(needed - 1)).toEqual([expect.stringContaining('lower --max-length and --max-batch-tokens)')]);
    expect(withMemory(8 * gib)).toEqual([expect.stringContaining('no option makes it fit: use a smaller model)')]);
  });
});

describe('a plan of a model that reads texts', () => {
  it('has neither stores nor patches', () => {
    const { bytes, limits, vision } = plan('0.6B', nvidia);
    expect([bytes.stores, limits.visionPatches, vision]).toEqual([0, 0, undefined]);
  });
});

describe('loadEngine', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'wgrank-plan-'));
    await writeSparseQwen3(dir, publishedQwen3['8B'], 'F32');
  });
  afterAll(() => rm(dir, { recursive: true }));

  it('refuses 33 GB of weights by its plan, before anything is uploaded', async ({ skip }) => {
    const options = { modelDir: dir, maxLength: 512 };
    const { misfits, adapter } = await inspectModel(options);
    if (misfits.length === 0) skip(`${adapter.name} may hold 33 GB`);
    const start = performance.now();
    const error = await loadEngine(options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'out-of-memory',
      message: `[load] ${dir} does not fit: ${misfits.join('; ')}`,
    });
    // Reading as much from the fastest disk takes longer.
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
