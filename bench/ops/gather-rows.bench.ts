/**
 * Each sequence's scored row, as before the last layer, and as many rows as there are tokens, for the bandwidth.
 *
 *   npx tsx bench/ops/gather-rows.bench.ts [--case scored] [--tokens N] [--length N] [--json FILE]
 */
import { gatherRows } from '../../src/ops/gather-rows.ts';
import { Random } from '../../test/fuzz/random.ts';
import { gatherRows as reference } from '../../test/reference/gather-rows.ts';
import { model, numbers, runIfMain, type BenchCase, type Workload } from './harness.ts';

const columns = model.hidden;

export function* gatherRowsBench({ tokens, sequences }: Workload): Generator<BenchCase[]> {
  const random = new Random(1);
  const x = numbers(2, tokens * columns);
  const scored = Uint32Array.from(sequences, (_, s) => s * sequences[0]!);
  const shuffled = Uint32Array.from({ length: tokens }, () => random.below(tokens));
  yield Object.entries({ scored, all: shuffled }).map(([name, rows]) => ({
    op: 'gather-rows',
    name,
    shape: `${rows.length} of ${tokens}x${columns}`,
    bytes: 8 * rows.length * columns,
    operands: (op) => {
      const operand = op.weight('x', 'f32', [tokens, columns], x);
      const picked = op.weight('rows', 'u32', [rows.length], rows);
      return () => gatherRows(op.graph, operand, picked);
    },
    rows: rows.length,
    reference: (row) => reference(x, [rows[row]!], columns),
    bound: 0,
  }));
}

await runIfMain(import.meta.filename, gatherRowsBench);
