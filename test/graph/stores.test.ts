import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { layOut } from '../../src/graph/layout.ts';
import type { Plan, RowCopy } from '../../src/graph/plan.ts';
import { gatherRows } from '../../src/ops/gather-rows.ts';
import { injectRows, noRow } from '../../src/ops/inject-rows.ts';
import { layerNorm } from '../../src/ops/layer-norm.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectSameBits } from '../ops/cases.ts';
import { uniform } from '../ops/values.ts';
import { poison, prepareOp, readWords, fill, testGpu } from '../support/op-harness.ts';

const C = 8;
const { gpu } = await testGpu();
afterEach(() => vi.restoreAllMocks());

/** A plan that puts rows of two stores, of `rows` rows each, in the place of tokens. */
async function makeReader(rows: number) {
  const stores: Tensor[] = [];
  const { plan, release } = await prepareOp((op) => {
    op.sizes = { T: 20 };
    const named = op.input('rows', 'u32', ['T'], new Uint32Array(20));
    const x = op.input('x', 'f32', ['T', C], new Float32Array(20 * C));
    stores.push(op.graph.store('first', 'f32', [rows, C]), op.graph.store('second', 'f32', [rows, C]));
    const once = injectRows(op.graph, x, named, stores[0]!, 'replace');
    return [once, injectRows(op.graph, once, named, stores[1]!, 'add')];
  });
  const [first, second] = stores as [Tensor, Tensor];
  const read = (wanted: readonly number[]) =>
    plan.run(
      { T: wanted.length },
      {
        x: new Float32Array(wanted.length * C),
        rows: Uint32Array.from(wanted, (row) => (row < 0 ? noRow : row)),
      },
    );
  return { plan, release, first: plan.bufferOf(first), second: plan.bufferOf(second), read };
}

/** A plan whose outputs are rows of its input, once as they are and once two to a row. */
async function makeWriter() {
  let outputs!: readonly [Tensor, Tensor];
  const { plan, release } = await prepareOp((op) => {
    op.sizes = { P: 24, M: 12 };
    const x = op.input('x', 'f32', ['P', C], new Float32Array(24 * C));
    const half = op.input('half', 'f32', ['P', C / 2], new Float32Array((24 * C) / 2));
    const rows = op.input('rows', 'u32', ['P'], new Uint32Array(24));
    outputs = [gatherRows(op.graph, x, rows), op.graph.view(gatherRows(op.graph, half, rows), ['M', C])];
    return outputs;
  });
  const inputsOf = (x: Float32Array) => {
    const P = x.length / C;
    const rows = Uint32Array.from({ length: P }, (_, i) => i);
    return [
      { P, M: P / 2 },
      { x, half: x.slice(0, x.length / 2), rows },
    ] as const;
  };
  return { plan, release, outputs, inputsOf };
}

const reader = await makeReader(16);
const writer = await makeWriter();
afterAll(() => {
  reader.release();
  writer.release();
});

function deliver(x: Float32Array, copies: readonly RowCopy[], plan: Plan = writer.plan): void {
  plan.deliver(...writer.inputsOf(x), copies);
}

const rowsOf = (values: Float32Array, rows: readonly number[]) =>
  Float32Array.from(rows.flatMap((row) => [...values.subarray(row * C, (row + 1) * C)]));

describe('a store', () => {
  it('is no intermediate: it has a buffer of its own and no place in an arena', async () => {
    const graph = new Graph();
    const store = graph.store('seen', 'f32', [1000, C]);
    const out = graph.intermediate('out', 'f32', ['T', C]);
    graph.launch({
      op: 'read',
      shader: { file: 'read.wgsl' },
      params: [],
      bindings: [store, out],
      writes: [out],
      groups: () => [1, 1, 1],
    });
    expect(graph.stores).toEqual([store]);
    const { places, arenas } = layOut(graph, { T: 4 }, { buffer: 2 ** 20, binding: 2 ** 20 });
    expect([...places.keys()]).toEqual([out]);
    expect(arenas).toEqual([4 * C * 4]);
    expect(reader.first).not.toBe(reader.second);
    expect([reader.first.size, reader.second.size]).toEqual([16 * C * 4, 16 * C * 4]);
  });

  it('counts among the bytes of the device, and goes with its plan', async () => {
    const before = gpu.bytes;
    const [small, large] = [await makeReader(16), await makeReader(1016)];
    const extra = (plan: { first: GPUBuffer; second: GPUBuffer }) => plan.first.size + plan.second.size;
    expect(extra(large) - extra(small)).toBe(2 * 1000 * C * 4);
    expect(gpu.bytes - before).toBeGreaterThan(extra(small) + extra(large));
    large.release();
    small.release();
    expect(gpu.bytes).toBe(before);
  });

  it('keeps its bytes between batches', async () => {
    const x = uniform(3, 4 * C);
    const [output] = writer.outputs;
    deliver(x, [{ output, first: 0, rows: 4, target: reader.first, at: 0 }]);
    await reader.read([-1]);
    await reader.read([2, 2, 2]);
    const [again] = await reader.read([3, -1, 0]);
    expectSameBits(again!, Float32Array.from([...rowsOf(x, [3]), ...new Float32Array(C), ...rowsOf(x, [0])]));
  });

  it('is bound for reading only: one launch may bind it twice', async () => {
    const { op, plan, release } = await prepareOp((op) => {
      op.sizes = { T: 2 };
      const store = op.graph.store('vector', 'f32', [C]);
      return layerNorm(op.graph, op.input('x', 'f32', ['T', C], uniform(1, 2 * C)), store, store, 1e-5);
    });
    const values = uniform(9, C);
    gpu.device.queue.writeBuffer(plan.bufferOf(op.graph.stores[0]!), 0, values);
    const [out] = await plan.run(op.sizes, op.inputs);
    release();
    const expected = await prepareOp((op) => {
      op.sizes = { T: 2 };
      const [scale, shift] = ['scale', 'shift'].map((name) => op.weight(name, 'f32', [C], values));
      return layerNorm(op.graph, op.input('x', 'f32', ['T', C], uniform(1, 2 * C)), scale!, shift!, 1e-5);
    });
    expectSameBits(out!, (await expected.plan.run(expected.op.sizes, expected.op.inputs))[0]!);
    expected.release();
  });
});

describe('Plan.deliver', () => {
  it('puts rows where they were asked for, in several runs and stores, and leaves all others as they were', async () => {
    fill(gpu, reader.first);
    fill(gpu, reader.second);
    const x = uniform(4, 24 * C);
    const [rows, pairs] = writer.outputs;
    deliver(x, [
      { output: rows, first: 0, rows: 3, target: reader.first, at: 5 },
      { output: rows, first: 20, rows: 4, target: reader.first, at: 0 },
      { output: rows, first: 9, rows: 1, target: reader.first, at: 15 },
      { output: pairs, first: 2, rows: 2, target: reader.second, at: 14 },
    ]);
    const [first, second] = [await readWords(reader.first), await readWords(reader.second)];
    const expected = new Uint32Array(16 * C).fill(poison);
    const floats = new Float32Array(expected.buffer);
    floats.set(rowsOf(x, [0, 1, 2]), 5 * C);
    floats.set(rowsOf(x, [20, 21, 22, 23]), 0);
    floats.set(rowsOf(x, [9]), 15 * C);
    expect(first).toEqual(expected);
    expected.fill(poison);
    // Rows of the view are as wide as the store's: halves of its tensor's rows lie two to one.
    floats.set(x.subarray(2 * C, 4 * C), 14 * C);
    expect(second).toEqual(expected);
  });

  it('is over for whatever is submitted later, and not for what was before', async () => {
    const [output] = writer.outputs;
    const batches = [10, 11, 12, 13].map((seed) => uniform(seed, 6 * C));
    const runs = batches.map((x) => {
      deliver(x, [{ output, first: 1, rows: 5, target: reader.first, at: 3 }]);
      return reader.read([3, 4, 5, 6, 7]);
    });
    const results = await Promise.all(runs);
    results.forEach(([out], i) => expectSameBits(out!, rowsOf(batches[i]!, [1, 2, 3, 4, 5])));
  });

  it('takes inputs at the time of the call, and gives a smaller batch its own rows', async () => {
    const [output] = writer.outputs;
    const x = uniform(20, 24 * C);
    const kept = x.slice();
    deliver(x, [{ output, first: 0, rows: 2, target: reader.first, at: 0 }]);
    x.fill(0);
    deliver(uniform(21, 2 * C), [{ output, first: 1, rows: 1, target: reader.first, at: 1 }]);
    const [out] = await reader.read([0, 1]);
    expectSameBits(out!, Float32Array.from([...rowsOf(kept, [0]), ...rowsOf(uniform(21, 2 * C), [1])]));
  });

  it('makes nothing', () => {
    const makers = ['createBuffer', 'createBindGroup', 'createShaderModule', 'createComputePipelineAsync'] as const;
    const spies = makers.map((name) => vi.spyOn(gpu.device, name));
    const [output] = writer.outputs;
    deliver(uniform(5, 4 * C), [{ output, first: 0, rows: 1, target: reader.first, at: 0 }]);
    expect(spies.map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0, 0]);
  });

  it('refuses a batch that does not fit, and submits nothing of it', async () => {
    const [output] = writer.outputs;
    const x = uniform(6, 4 * C);
    deliver(x, [{ output, first: 0, rows: 4, target: reader.first, at: 0 }]);
    const submit = vi.spyOn(gpu.device.queue, 'submit');
    const copy = { output, first: 0, rows: 1, target: reader.first, at: 0 };
    const tooMany = () => deliver(uniform(7, 26 * C), [copy]);
    expect(tooMany).toThrow(
      expect.objectContaining({
        code: 'shape-mismatch',
        message: '[plan] P is 26 (the plan was made for at most 24)',
      }),
    );
    expect(() => writer.plan.deliver({ P: 2, M: 1 }, { x: new Float32Array(C) }, [copy])).toThrow(
      '[plan] input x has 8 elements (expected 16)',
    );
    expect(submit).not.toHaveBeenCalled();
    submit.mockRestore();
    const [out] = await reader.read([0, 3]);
    expectSameBits(out!, rowsOf(x, [0, 3]));
  });
});
