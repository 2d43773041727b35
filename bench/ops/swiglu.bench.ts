/**
 * The gated activation between the products of Qwen3-Reranker-0.6B's feed-forward block.
 *
 *   npx tsx bench/ops/swiglu.bench.ts [--tokens N] [--json FILE]
 */
import { swiglu } from '../../src/ops/swiglu.ts';
import { swiglu as reference } from '../../test/reference/swiglu.ts';
import { numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const intermediate = 3072;

export function* swigluBench({ tokens }: Workload): Generator<BenchCase[]> {
  const gate = numbers(1, tokens * intermediate, 4);
  const up = numbers(2, tokens * intermediate, 4);
  yield [
    {
      op: 'swiglu',
      name: 'intermediate',
      shape: `${tokens}x${intermediate}`,
      bytes: 12 * tokens * intermediate,
      operands: (op) => {
        const [a, b] = [gate, up].map((values, i) => op.weight(`x${i}`, 'f32', [tokens, intermediate], values));
        return () => swiglu(op.graph, a!, b!);
      },
      rows: tokens,
      reference: (row) => reference(rowOf(gate, row, intermediate), rowOf(up, row, intermediate)),
      bound: 16 * 2 ** -20, // the kernel's (8 + 2 |gate|) 2^-23 of outputs up to 16
    },
  ];
}

await runIfMain(import.meta.filename, swigluBench);
