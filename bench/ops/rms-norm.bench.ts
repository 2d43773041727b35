/**
 * The norms before attention and before the feed-forward block of Qwen3-Reranker-0.6B.
 *
 *   npx tsx bench/ops/rms-norm.bench.ts [--tokens N] [--json FILE]
 */
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { rmsNorm as reference } from '../../test/reference/rms-norm.ts';
import { numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const [hidden, eps] = [1024, 1e-6];

export function* rmsNormBench({ tokens }: Workload): Generator<BenchCase[]> {
  const x = numbers(1, tokens * hidden);
  const weight = numbers(2, hidden);
  yield [
    {
      op: 'rms-norm',
      name: 'hidden',
      shape: `${tokens}x${hidden}`,
      bytes: 8 * tokens * hidden,
      operands: (op) => {
        const operand = op.weight('x', 'f32', [tokens, hidden], x);
        const scale = op.weight('weight', 'f32', [hidden], weight);
        return () => rmsNorm(op.graph, operand, scale, eps);
      },
      rows: tokens,
      reference: (row) => reference(rowOf(x, row, hidden), weight, eps),
      bound: 4e-6, // the kernel's 2e-6 of outputs up to 1.8
    },
  ];
}

await runIfMain(import.meta.filename, rmsNormBench);
