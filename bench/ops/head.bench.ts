/**
 * The classifier's last vector for one row per sequence, and for as many rows as there are tokens, for the bandwidth.
 *
 *   npx tsx bench/ops/head.bench.ts [--case scored] [--tokens N] [--length N] [--json FILE]
 */
import { head } from '../../src/ops/head.ts';
import { head as reference } from '../../test/reference/head.ts';
import { model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const columns = model.hidden;

export function* headBench({ tokens, sequences }: Workload): Generator<BenchCase[]> {
  const x = numbers(1, tokens * columns);
  const weight = numbers(2, columns);
  const bias = numbers(3, 1);
  yield Object.entries({ scored: sequences.length, all: tokens }).map(([name, rows]) => ({
    op: 'head',
    name,
    shape: `${rows}x${columns}`,
    bytes: 4 * rows * (columns + 1),
    operands: (op) => {
      const operand = op.weight('x', 'f32', [rows, columns], x.subarray(0, rows * columns));
      const vector = op.weight('weight', 'f32', [columns], weight);
      const one = op.weight('bias', 'f32', [1], bias);
      return () => head(op.graph, operand, vector, one);
    },
    rows,
    reference: (row) => reference(rowOf(x, row, columns), weight, bias[0]!),
    bound: 1e-7 * (columns + 32), // as for a product, test/ops/head.test.ts
  }));
}

await runIfMain(import.meta.filename, headBench);
