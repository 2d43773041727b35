import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { capacityBytes, layOut, type Layout } from '../../src/graph/layout.ts';
import type { Sizes, Tensor } from '../../src/tensor/tensor.ts';

const roomy = { buffer: 2 ** 30, binding: 2 ** 27 };

function launch(graph: Graph, op: string, reads: readonly Tensor[], writes: readonly Tensor[]): void {
  const bindings = [...reads, ...writes.filter((tensor) => !reads.includes(tensor))];
  graph.launch({ op, shader: { file: 'op.wgsl' }, params: [], bindings, writes, groups: () => [1, 1, 1] });
}

/** One launch of a random graph: numbers that choose among the tensors that exist by then. */
const step = fc.record({
  columns: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 2 }),
  dtype: fc.constantFrom('f32', 'f16', 'u32'),
  perToken: fc.boolean(),
  reads: fc.array(fc.nat(), { maxLength: 3 }),
  /** Writes into an existing tensor too, as the parts of a cut vocabulary table do. */
  rewrite: fc.option(fc.nat(), { nil: undefined, freq: 3 }),
});
const randomGraph = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 30 }),
  outputs: fc.array(fc.nat(), { maxLength: 3 }),
  T: fc.integer({ min: 1, max: 5 }),
  /** The adapter's largest buffer, in sizes of the largest tensor. */
  roominess: fc.double({ min: 1, max: 6, noNaN: true }),
});
type RandomGraph = typeof randomGraph extends fc.Arbitrary<infer G> ? G : never;

function build({ steps, outputs }: RandomGraph): Graph {
  const graph = new Graph();
  const made: Tensor[] = [];
  const pick = (n: number) => made[n % made.length]!;
  steps.forEach(({ columns, dtype, perToken, reads, rewrite }, i) => {
    const inputs = made.length === 0 ? [] : [...new Set(reads.map(pick))];
    const fresh = columns.map((c, j) => graph.intermediate(`t${i}.${j}`, dtype, perToken ? ['T', c] : [c]));
    const rewritten = rewrite === undefined || made.length === 0 ? [] : [pick(rewrite)];
    launch(graph, `op${i}`, inputs, [...fresh, ...rewritten]);
    made.push(...fresh);
  });
  for (const n of outputs) graph.output(pick(n));
  return graph;
}

/** Whether a tensor holds bytes that matter while launch `at` runs. */
function isAlive(graph: Graph, tensor: Tensor, at: number): boolean {
  const touched = graph.launches.flatMap(({ bindings }, i) => (bindings.includes(tensor) ? [i] : []));
  return at >= touched[0]! && (graph.outputs.includes(tensor) || at <= touched.at(-1)!);
}

function overlap(layout: Layout, a: Tensor, b: Tensor): boolean {
  const [x, y] = [layout.places.get(a)!, layout.places.get(b)!];
  return x.arena === y.arena && x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes;
}

describe('layOut of random graphs', () => {
  it('never lets tensors overlap that are alive at the same time, and keeps arenas within the adapter', () => {
    fc.assert(
      fc.property(randomGraph, (random) => {
        const graph = build(random);
        const capacity: Sizes = { T: random.T };
        const tensors = [...new Set(graph.launches.flatMap(({ bindings }) => bindings as Tensor[]))];
        const largest = Math.max(...tensors.map((tensor) => capacityBytes(tensor, capacity)));
        const limits = { buffer: Math.floor(largest * random.roominess), binding: largest };
        const layout = layOut(graph, capacity, limits);
        expect(new Set(layout.places.keys())).toEqual(new Set(tensors));
        for (const [tensor, { arena, offset, bytes }] of layout.places) {
          expect(bytes).toBe(capacityBytes(tensor, capacity));
          expect(offset % 256).toBe(0);
          expect(offset + bytes).toBeLessThanOrEqual(layout.arenas[arena]!);
        }
        for (const bytes of layout.arenas) expect(bytes).toBeLessThanOrEqual(limits.buffer);
        for (let at = 0; at <= graph.launches.length; at++) {
          const alive = tensors.filter((tensor) => isAlive(graph, tensor, at));
          const clashes = alive.flatMap((a, i) => alive.slice(0, i).filter((b) => overlap(layout, a, b)));
          expect(clashes.map(({ name }) => name)).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** x0 → x1 → … by launches that read one tensor and write the next. */
function chain(length: number, columns = 256) {
  const graph = new Graph();
  const tensors = Array.from({ length }, (_, i) => graph.intermediate(`x${i}`, 'f32', ['T', columns]));
  tensors.forEach((tensor, i) => launch(graph, `op${i}`, tensors.slice(Math.max(0, i - 1), i), [tensor]));
  return { graph, tensors };
}

describe('layOut', () => {
  it('gives a chain of any length the room of two tensors', () => {
    const { graph } = chain(20);
    expect(layOut(graph, { T: 3 }, roomy).arenas).toEqual([2 * 3 * 1024]);
  });

  it('keeps outputs to the end', () => {
    const { graph, tensors } = chain(20);
    graph.output(tensors[0]!);
    const layout = layOut(graph, { T: 3 }, roomy);
    expect(layout.arenas).toEqual([3 * 3 * 1024]);
    expect(tensors.slice(1).filter((tensor) => overlap(layout, tensor, tensors[0]!))).toEqual([]);
  });

  it('opens another arena where the first has no room', () => {
    const { graph } = chain(20);
    expect(layOut(graph, { T: 3 }, { buffer: 4000, binding: 4000 }).arenas).toEqual([3072, 3072]);
  });

  it('places only intermediates', () => {
    const graph = new Graph();
    const x = graph.input('x', 'f32', ['T']);
    const y = graph.intermediate('y', 'f32', ['T']);
    launch(graph, 'op', [x, { name: 'w', dtype: 'f32', shape: [4], role: 'weight' }], [y]);
    expect([...layOut(graph, { T: 3 }, roomy).places]).toEqual([
      [y, expect.objectContaining({ offset: 0, bytes: 12 })],
    ]);
  });

  it('refuses a tensor that is read before anything has written it', () => {
    const graph = new Graph();
    const [x, y] = [graph.intermediate('x', 'f32', ['T']), graph.intermediate('y', 'f32', ['T'])];
    launch(graph, 'norm', [x], [y]);
    launch(graph, 'late', [y], [x]);
    expect(() => layOut(graph, { T: 3 }, roomy)).toThrow(
      expect.objectContaining({
        code: 'shape-mismatch',
        message: '[norm] x is read before anything has written it',
      }),
    );
  });

  it('refuses a tensor that no binding holds, and says what to lower', () => {
    const { graph } = chain(2);
    expect(() => layOut(graph, { T: 8 }, { buffer: 2 ** 30, binding: 8 * 1024 })).not.toThrow();
    expect(() => layOut(graph, { T: 9 }, { buffer: 2 ** 30, binding: 8 * 1024 })).toThrow(
      expect.objectContaining({
        code: 'out-of-memory',
        message:
          '[plan] x0 f32[T, 256] needs 9216 bytes with {"T":9} (the adapter binds at most 8192: lower --max-batch-tokens)',
      }),
    );
    expect(() => layOut(graph, { T: 9 }, { buffer: 8 * 1024, binding: 2 ** 30 })).toThrow(
      expect.objectContaining({ code: 'out-of-memory' }),
    );
  });
});

describe('capacityBytes', () => {
  it('counts 16-bit elements in whole words', () => {
    const graph = new Graph();
    expect(capacityBytes(graph.intermediate('a', 'f32', ['T', 3]), { T: 5 })).toBe(60);
    expect(capacityBytes(graph.intermediate('b', 'f16', ['T', 3]), { T: 5 })).toBe(32);
    expect(capacityBytes(graph.intermediate('c', 'bf16', [2]), {})).toBe(4);
    expect(capacityBytes(graph.intermediate('d', 'u32', []), {})).toBe(4);
  });
});
