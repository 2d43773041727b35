import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { Plan, type HostArray } from '../../src/graph/plan.ts';
import { elementwise } from '../../src/ops/elementwise.ts';
import { gatherRows } from '../../src/ops/gather-rows.ts';
import { head } from '../../src/ops/head.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectSameBits } from '../ops/cases.ts';
import { uniform } from '../ops/values.ts';
import { prepareOp, testGpu, type OpCase } from '../support/op-harness.ts';

const C = 20;
const { gpu, pipelines } = await testGpu();
afterEach(() => vi.restoreAllMocks());

interface Batch {
  readonly sizes: { readonly T: number; readonly S: number };
  readonly inputs: Readonly<Record<string, HostArray>>;
}

function batchOf(T: number, S: number): Batch {
  const rows = Uint32Array.from({ length: S }, (_, s) => (7 * s) % T);
  return { sizes: { T, S }, inputs: { x: uniform(100 * T + S, T * C), rows } };
}

/** Five launches of four kernels, over two named axes, with an intermediate and the last tensor as outputs. */
function record(op: OpCase, { sizes, inputs }: Batch): Tensor[] {
  const { graph } = op;
  op.sizes = { ...sizes };
  const vector = (name: string, seed: number) => op.weight(name, 'f32', [C], uniform(seed, C));
  const x = op.input('x', 'f32', ['T', C], inputs['x']!);
  const rows = op.input('rows', 'u32', ['S'], inputs['rows']!);
  const normed = layerNorm(graph, x, vector('scale', 1), vector('shift', 2), 1e-5);
  const h = elementwise(graph, normed, { kind: 'bias-tanh', bias: vector('bias', 3) });
  const chosen = layerNorm(graph, gatherRows(graph, h, rows), vector('scale 2', 4), vector('shift 2', 5), 1e-5);
  return [h, head(graph, chosen, vector('vector', 6), op.weight('one', 'f32', [1], uniform(7, 1)))];
}

const capacity = batchOf(80, 9);
const { plan, release } = await prepareOp((op) => record(op, capacity));
afterAll(release);
const run = ({ sizes, inputs }: Batch) => plan.run(sizes, inputs);

/** What a plan that was made for this batch alone gives. */
async function runFresh(batch: Batch): Promise<Float32Array[]> {
  const fresh = await prepareOp((op) => record(op, batch));
  const outputs = await fresh.plan.run(batch.sizes, batch.inputs);
  fresh.release();
  return outputs;
}

function expectSame(actual: readonly Float32Array[], expected: readonly Float32Array[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((output, i) => expectSameBits(output, expected[i]!));
}

// Sizes grow and shrink: a plan that kept an earlier batch's numbers would leave rows out of a larger one.
const batches = [batchOf(1, 1), batchOf(65, 3), batchOf(7, 9), batchOf(80, 9), batchOf(64, 8), batchOf(1, 1)];

describe('a plan', () => {
  it('gives every batch the bits of a plan made for it, whatever ran before', async () => {
    for (const batch of batches) {
      const expected = await runFresh(batch);
      expect(expected.map(({ length }) => length)).toEqual([batch.sizes.T * C, batch.sizes.S]);
      expectSame(await run(batch), expected);
      plan.poison();
      expectSame(await run(batch), expected);
    }
  });

  it('keeps the results of overlapping runs apart', async () => {
    const expected: Float32Array[][] = [];
    for (const batch of batches) expected.push(await run(batch));
    const overlapping = await Promise.all(batches.map(run));
    overlapping.forEach((outputs, i) => expectSame(outputs, expected[i]!));
  });

  it('takes inputs at the time of the call', async () => {
    const batch = batchOf(9, 2);
    const expected = await run(batch);
    const running = run(batch);
    batch.inputs['x']!.fill(0);
    expectSame(await running, expected);
  });

  it('makes nothing while batches run', async () => {
    await Promise.all(batches.map(run));
    const makers = ['createBuffer', 'createBindGroup', 'createShaderModule', 'createComputePipelineAsync'] as const;
    const spies = makers.map((name) => vi.spyOn(gpu.device, name));
    const before = gpu.bytes;
    for (const batch of batches) await run(batch);
    await Promise.all(batches.map(run));
    expect(spies.map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0, 0]);
    expect(gpu.bytes).toBe(before);
  });

  it('skips launches that have nothing to do', async () => {
    const dispatch = vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
    const some = batchOf(5, 1);
    const [h] = await run(some);
    expect(dispatch).toHaveBeenCalledTimes(5);
    dispatch.mockClear();
    const none = { sizes: { T: 5, S: 0 }, inputs: { ...some.inputs, rows: new Uint32Array(0) } };
    const [same, logits] = await run(none);
    expect(dispatch).toHaveBeenCalledTimes(2);
    expectSameBits(same!, h!);
    expect(logits).toHaveLength(0);
  });

  it.runIf(gpu.traits.timestamps)('times every launch by name', async () => {
    const { sizes, inputs } = batchOf(64, 8);
    const times = await plan.profile(sizes, inputs);
    expect(times.map(({ op }) => op)).toEqual(['layer-norm', 'elementwise', 'gather-rows', 'layer-norm', 'head']);
    for (const { milliseconds } of times) expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect(Math.max(...times.map(({ milliseconds }) => milliseconds))).toBeGreaterThan(0);
  });

  it('frees what it made', async () => {
    const before = gpu.bytes;
    const other = await prepareOp((op) => record(op, capacity));
    await Promise.all(batches.map(({ sizes, inputs }) => other.plan.run(sizes, inputs)));
    expect(gpu.bytes).toBeGreaterThan(before);
    other.release();
    expect(gpu.bytes).toBe(before);
  });
});

describe('a batch that does not fit', () => {
  const { sizes, inputs } = batchOf(5, 2);
  const refusals: [string, Record<string, number>, Record<string, HostArray>, string][] = [
    ['more tokens than planned', { T: 81, S: 2 }, inputs, '[plan] T is 81 (the plan was made for at most 80)'],
    ['more rows than planned', { T: 5, S: 10 }, inputs, '[plan] S is 10 (the plan was made for at most 9)'],
    ['no input', sizes, { rows: inputs['rows']! }, '[plan] input x has undefined elements (expected 100)'],
    ['a short input', sizes, { ...inputs, x: uniform(1, 99) }, '[plan] input x has 99 elements (expected 100)'],
    ['a long input', sizes, { ...inputs, rows: new Uint32Array(3) }, '[plan] input rows has 3 elements (expected 2)'],
  ];

  it.each(refusals)('is refused by name: %s', async (_, sizes, inputs, message) => {
    const submit = vi.spyOn(gpu.device.queue, 'submit');
    await expect(plan.run(sizes, inputs)).rejects.toMatchObject({ code: 'shape-mismatch', message });
    expect(submit).not.toHaveBeenCalled();
  });

  it('is refused when an axis has no size', async () => {
    await expect(plan.run({ T: 5 }, inputs)).rejects.toThrow('axis S has no size in this batch');
  });

  it('leaves the plan as it was', async () => {
    const batch = batchOf(65, 3);
    const expected = await run(batch);
    await expect(plan.run({ T: 65, S: 3 }, { ...batch.inputs, rows: new Uint32Array(2) })).rejects.toThrow('[plan]');
    expectSame(await run(batch), expected);
  });
});

function noWeights(tensor: Tensor): GPUBuffer {
  throw new Error(`no buffer for ${tensor.name}`);
}

describe('making a plan', () => {
  it('refuses a program that does not compile, and allocates nothing for it', async () => {
    const graph = new Graph();
    const out = graph.intermediate('out', 'f32', ['T', 4]);
    graph.launch({
      op: 'gather-rows',
      shader: { file: 'gather-rows.wgsl', set: { NAME: '1u' } },
      params: [],
      bindings: [graph.input('x', 'f32', ['T', 4]), graph.input('rows', 'u32', ['T']), out],
      writes: [out],
      groups: () => [1, 1, 1],
    });
    graph.output(out);
    const before = gpu.bytes;
    await expect(Plan.make(gpu, pipelines, graph, { T: 4 }, noWeights)).rejects.toMatchObject({
      code: 'shader-invalid',
    });
    expect(gpu.bytes).toBe(before);
  });

  it('refuses bindings that the program does not have, and the device lives on', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', ['T', 4]);
    const out = gatherRows(graph, x, graph.input('rows', 'u32', ['T']));
    const [launch] = graph.launches.splice(0);
    graph.launch({ ...launch!, bindings: [...launch!.bindings, graph.input('more', 'f32', ['T'])] });
    graph.output(out);
    await expect(Plan.make(gpu, pipelines, graph, { T: 4 }, noWeights)).rejects.toMatchObject({
      code: 'gpu-error',
      message: expect.stringContaining('[plan] GPUValidationError') as string,
    });
    await expect(gpu.idle()).resolves.toBeUndefined();
  });
});
