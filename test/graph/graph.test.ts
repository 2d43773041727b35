import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldGroups, Graph, type Launch } from '../../src/graph/graph.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

/** maxComputeWorkgroupsPerDimension that every WebGPU adapter has. */
const axisLimit = 65_535;

describe('foldGroups', () => {
  it.each([
    [0, 0, 0],
    [1, 1, 1],
    [32_767, 32_767, 1],
    [32_768, 32_768, 1],
    [32_769, 32_768, 2],
    [65_536, 32_768, 2],
    [65_537, 32_768, 3],
    [32_768 * axisLimit, 32_768, axisLimit],
  ])('%i → %i × %i', (groups, x, y) => {
    expect(foldGroups(groups)).toEqual([x, y, 1]);
  });

  it('covers every number, within the limit of an axis and by less than one row too many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32_768 * axisLimit }), (groups) => {
        const [x, y, z] = foldGroups(groups);
        expect(Math.max(x, y)).toBeLessThanOrEqual(axisLimit);
        expect(x * y * z).toBeGreaterThanOrEqual(groups);
        expect(x * (y - 1)).toBeLessThan(groups);
      }),
    );
  });
});

const launchOf = (bindings: Launch['bindings'], writes: readonly Tensor[]): Launch => ({
  op: 'add',
  shader: { file: 'add.wgsl' },
  params: [],
  bindings,
  writes,
  groups: () => [1, 1, 1],
});

describe('Graph', () => {
  it('keeps launches, inputs and outputs in order', () => {
    const graph = new Graph();
    const [a, b] = [graph.input('a', 'f32', ['T', 4]), graph.input('b', 'u32', ['S'])];
    const [x, y] = [graph.intermediate('x', 'f32', ['T', 4]), graph.intermediate('y', 'f32', ['S'])];
    const launches = [launchOf([a, undefined, x], [x]), launchOf([b, x, y], [y])];
    for (const launch of launches) graph.launch(launch);
    graph.output(y);
    graph.output(x);
    expect(graph.launches).toEqual(launches);
    expect(graph.inputs).toEqual([a, b]);
    expect(graph.outputs).toEqual([y, x]);
    expect([a.role, x.role]).toEqual(['input', 'intermediate']);
  });

  it('refuses a tensor that is bound twice, since two writable bindings of one range are invalid', () => {
    const graph = new Graph();
    const [x, y] = [graph.intermediate('x', 'f32', ['T', 4]), graph.intermediate('y', 'f32', ['T', 4])];
    for (const bindings of [
      [x, x, y],
      [x, undefined, x],
    ]) {
      expect(() => graph.launch(launchOf(bindings, [y]))).toThrow(
        expect.objectContaining({
          code: 'shape-mismatch',
          message: '[add] a tensor is bound twice (expected distinct inputs and outputs)',
        }),
      );
    }
    expect(graph.launches).toEqual([]);
  });

  it('allows a weight that is bound twice: weights are only read', () => {
    const graph = new Graph();
    const weight: Tensor = { name: 'w', dtype: 'f32', shape: [4], role: 'weight' };
    const y = graph.intermediate('y', 'f32', [4]);
    graph.launch(launchOf([weight, weight, y], [y]));
    expect(graph.launches).toHaveLength(1);
  });
});
