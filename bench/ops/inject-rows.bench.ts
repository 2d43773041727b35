/**
 * Rows of pictures among those of a text: three of four tokens, as in a document that is a picture.
 *
 *   npx tsx bench/ops/inject-rows.bench.ts [--case add] [--tokens N] [--json FILE]
 */
import { injectModes, injectRows, noRow } from '../../src/ops/inject-rows.ts';
import { injectRows as reference } from '../../test/reference/inject-rows.ts';
import { model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const columns = model.hidden;

export function* injectRowsBench({ tokens }: Workload): Generator<BenchCase[]> {
  const x = numbers(1, tokens * columns);
  const source = numbers(2, tokens * columns);
  const rows = Uint32Array.from({ length: tokens }, (_, t) => (t % 4 === 0 ? noRow : t));
  const named = rows.filter((row) => row !== noRow).length;
  yield injectModes.map((mode) => ({
    op: 'inject-rows',
    name: mode,
    shape: `${named} of ${tokens}x${columns}`,
    bytes: 4 * columns * (2 * tokens + (mode === 'add' ? named : 0)),
    operands: (op) => {
      const operand = op.weight('x', 'f32', [tokens, columns], x);
      const at = op.weight('rows', 'u32', [tokens], rows);
      const from = op.weight('source', 'f32', [tokens, columns], source);
      return () => injectRows(op.graph, operand, at, from, mode);
    },
    rows: tokens,
    reference: (row) => {
      const named = rows[row] === noRow ? -1 : rows[row]!;
      return reference(rowOf(x, row, columns), [named], source, columns, mode);
    },
    bound: 2 ** -23, // one addition of values up to 2
  }));
}

await runIfMain(import.meta.filename, injectRowsBench);
