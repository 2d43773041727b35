/**
 * The norm after attention and after the feed-forward block.
 *
 *   npx tsx bench/ops/layer-norm.bench.ts [--tokens N] [--json FILE]
 */
import { layerNorm } from '../../src/ops/layer-norm.ts';
import { layerNorm as reference } from '../../test/reference/layer-norm.ts';
import { model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const { hidden, eps } = model;

export function* layerNormBench({ tokens }: Workload): Generator<BenchCase[]> {
  const x = numbers(1, tokens * hidden);
  const weight = numbers(2, hidden);
  const bias = numbers(3, hidden);
  yield [
    {
      op: 'layer-norm',
      name: 'hidden',
      shape: `${tokens}x${hidden}`,
      bytes: 8 * tokens * hidden,
      operands: (op) => {
        const operand = op.weight('x', 'f32', [tokens, hidden], x);
        const scale = op.weight('weight', 'f32', [hidden], weight);
        const shift = op.weight('bias', 'f32', [hidden], bias);
        return () => layerNorm(op.graph, operand, scale, shift, eps);
      },
      rows: tokens,
      reference: (row) => reference(rowOf(x, row, hidden), weight, bias, eps),
      bound: 5e-6, // the kernel's 2e-6 of the largest output, which is about 2.7 here
    },
  ];
}

await runIfMain(import.meta.filename, layerNormBench);
