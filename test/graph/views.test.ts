import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { layOut } from '../../src/graph/layout.ts';
import { gatherRows } from '../../src/ops/gather-rows.ts';
import { owner, type Tensor } from '../../src/tensor/tensor.ts';
import { expectSameBits } from '../ops/cases.ts';
import { uniform } from '../ops/values.ts';
import { prepareOp } from '../support/op-harness.ts';

const roomy = { buffer: 2 ** 30, binding: 2 ** 27 };

function launch(graph: Graph, op: string, reads: readonly Tensor[], writes: readonly Tensor[]): void {
  const bindings = [...reads, ...writes];
  graph.launch({ op, shader: { file: 'op.wgsl' }, params: [], bindings, writes, groups: () => [1, 1, 1] });
}

describe('a view', () => {
  it('is the same tensor in another shape, and a view of it belongs to the first', () => {
    const graph = new Graph();
    const x = graph.intermediate('x', 'f32', ['P', 4]);
    const wide = graph.view(x, ['M', 16]);
    expect(wide).toEqual({ name: 'x', dtype: 'f32', role: 'intermediate', shape: ['M', 16], of: x });
    expect(graph.view(wide, ['N', 32]).of).toBe(x);
    expect([owner(x), owner(wide)]).toEqual([x, x]);
    expect([graph.inputs, graph.outputs, graph.stores]).toEqual([[], [], []]);
  });

  it.each(['input', 'intermediate'] as const)('of an %s is not bound beside it, nor beside another view', (role) => {
    const graph = new Graph();
    const x = graph[role]('x', 'f32', ['P', 4]);
    const y = graph.intermediate('y', 'f32', ['P', 4]);
    const [wide, other] = [graph.view(x, ['M', 16]), graph.view(x, ['M', 16])];
    for (const reads of [
      [x, wide],
      [wide, x],
      [wide, other],
    ]) {
      expect(() => launch(graph, 'add', reads, [y])).toThrow(
        expect.objectContaining({
          code: 'shape-mismatch',
          message: '[add] a tensor is bound twice (expected distinct inputs and outputs)',
        }),
      );
    }
    expect(() => launch(graph, 'add', [wide], [x])).toThrow('[add] a tensor is bound twice');
    expect(graph.launches).toEqual([]);
  });

  it.each(['weight', 'store'] as const)('of a %s is: those are only read', (role) => {
    const graph = new Graph();
    const x: Tensor = { name: 'x', dtype: 'f32', shape: [8, 4], role };
    launch(graph, 'add', [x, graph.view(x, [2, 16])], [graph.intermediate('y', 'f32', [4])]);
    expect(graph.launches).toHaveLength(1);
  });
});

/** x0 → x1 → …, the last launch reading the first tensor, too, as a view. */
function chainWithView(length: number) {
  const graph = new Graph();
  const tensors = Array.from({ length }, (_, i) => graph.intermediate(`x${i}`, 'f32', ['P', 64]));
  const view = graph.view(tensors[0]!, ['M', 256]);
  tensors.forEach((tensor, i) => {
    const before = tensors.slice(Math.max(0, i - 1), i);
    launch(graph, `op${i}`, i === length - 1 ? [...before, view] : before, [tensor]);
  });
  return { graph, tensors, view };
}

describe('the memory of a view', () => {
  const capacity = { P: 4, M: 1 };

  it('is its tensor’s: kept for as long as either is read, and not placed twice', () => {
    const { graph, tensors } = chainWithView(8);
    const { places, arenas } = layOut(graph, capacity, roomy);
    expect(new Set(places.keys())).toEqual(new Set(tensors));
    const { offset, bytes } = places.get(tensors[0]!)!;
    const clashes = tensors.slice(1).filter((tensor) => {
      const other = places.get(tensor)!;
      return other.offset < offset + bytes && offset < other.offset + other.bytes;
    });
    expect(clashes).toEqual([]);
    expect(arenas).toEqual([3 * 1024]);
  });

  it('is what it would be if the tensor itself were bound', () => {
    const step = fc.record({ reads: fc.array(fc.nat(), { maxLength: 3 }), asView: fc.boolean(), rows: fc.nat(5) });
    const build = (steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[], views: boolean) => {
      const graph = new Graph();
      const made: Tensor[] = [];
      steps.forEach(({ reads, asView, rows }, i) => {
        const chosen = made.length === 0 ? [] : [...new Set(reads.map((n) => made[n % made.length]!))];
        const fresh = graph.intermediate(`t${i}`, 'f32', ['P', 4 * (rows + 1)]);
        const bound = chosen.map((tensor) =>
          views && asView ? graph.view(tensor, ['M', 4 * (tensor.shape[1] as number)]) : tensor,
        );
        launch(graph, `op${i}`, bound, [fresh]);
        made.push(fresh);
      });
      const last = made.at(-1)!;
      graph.output(views ? graph.view(last, ['M', 4 * (last.shape[1] as number)]) : last);
      return graph;
    };
    const laidOut = (graph: Graph) => {
      const { places, arenas } = layOut(graph, { P: 40, M: 10 }, { buffer: 4096, binding: 4096 });
      return { arenas, places: [...places].map(([{ name }, place]) => [name, place]) };
    };
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
        expect(laidOut(build(steps, true))).toEqual(laidOut(build(steps, false)));
      }),
    );
  });

  it('lives to the end where the view is an output', () => {
    const { graph, tensors, view } = chainWithView(3);
    launch(graph, 'more', [tensors[2]!], [graph.intermediate('y', 'f32', ['P', 64])]);
    expect(layOut(graph, capacity, roomy).arenas).toEqual([3 * 1024]);
    launch(graph, 'and more', [], [graph.intermediate('z', 'f32', ['P', 64])]);
    graph.output(view);
    expect(layOut(graph, capacity, roomy).arenas).toEqual([3 * 1024]);
    graph.output(tensors[1]!);
    expect(layOut(graph, capacity, roomy).arenas).toEqual([4 * 1024]);
  });

  it('must be as long as its tensor’s, or it would reach into what lies behind', () => {
    const { graph, view } = chainWithView(3);
    const asOutput = new Graph();
    launch(asOutput, 'op0', [], [owner(view)]);
    asOutput.output(view);
    for (const one of [graph, asOutput]) expect(() => layOut(one, { P: 8, M: 2 }, roomy)).not.toThrow();
    for (const [M, one] of [
      [1, graph],
      [3, graph],
      [1, asOutput],
      [3, asOutput],
    ] as const) {
      expect(() => layOut(one, { P: 8, M }, roomy)).toThrow(
        expect.objectContaining({
          code: 'shape-mismatch',
          message: `[plan] x0 is read as f32[M, 256] of f32[P, 64] with {"P":8,"M":${M}} (expected as many elements)`,
        }),
      );
    }
  });

  it('is written before it is read', () => {
    const graph = new Graph();
    const [x, y] = [graph.intermediate('x', 'f32', ['P', 4]), graph.intermediate('y', 'f32', ['P', 4])];
    launch(graph, 'norm', [graph.view(x, ['M', 16])], [y]);
    expect(() => layOut(graph, { P: 4, M: 1 }, roomy)).toThrow('[norm] x is read before anything has written it');
    const other = new Graph();
    other.output(other.view(x, ['M', 16]));
    expect(() => layOut(other, { P: 4, M: 1 }, roomy)).toThrow('[plan] output x is written by no launch');
  });
});

describe('a view on the adapter', () => {
  const [P, M] = [12, 3];
  const x = uniform(1, P * 8);

  it('shows an input’s and an intermediate’s rows as fewer and longer ones', async () => {
    const order = Uint32Array.from({ length: P }, (_, i) => (i * 5) % P);
    const { op, plan, release } = await prepareOp((op) => {
      op.sizes = { P, M };
      const graph = op.graph;
      const input = op.input('x', 'f32', ['P', 8], x);
      const wideRows = op.input('wide rows', 'u32', ['M'], Uint32Array.of(2, 0, 1));
      const shuffled = gatherRows(graph, input, op.input('rows', 'u32', ['P'], order));
      return [
        gatherRows(graph, graph.view(input, ['M', 32]), wideRows),
        gatherRows(graph, graph.view(shuffled, ['M', 32]), wideRows),
      ];
    });
    plan.poison();
    const [own, wide] = await plan.run(op.sizes, op.inputs);
    release();
    const rowsOf = (values: Float32Array, rows: readonly number[], width: number) =>
      Float32Array.from(rows.flatMap((row) => [...values.subarray(row * width, (row + 1) * width)]));
    expectSameBits(own!, rowsOf(x, [2, 0, 1], 32));
    expectSameBits(wide!, rowsOf(rowsOf(x, [...order], 8), [2, 0, 1], 32));
  });

  it('is read back as an output', async () => {
    const { plan, release } = await prepareOp((op) => {
      op.sizes = { P, M };
      const rows = op.input('rows', 'u32', ['P'], new Uint32Array(P));
      return op.graph.view(gatherRows(op.graph, op.input('x', 'f32', ['P', 8], x), rows), ['M', 32]);
    });
    const inputs = (rows: number) => ({
      x: x.slice(0, rows * 8),
      rows: Uint32Array.from({ length: rows }, (_, i) => i),
    });
    const outputs = [await plan.run({ P, M }, inputs(P)), await plan.run({ P: 8, M: 2 }, inputs(8))];
    release();
    expectSameBits(outputs[0]![0]!, x);
    expectSameBits(outputs[1]![0]!, x.slice(0, 64));
  });
});
