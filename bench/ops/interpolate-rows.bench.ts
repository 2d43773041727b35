/**
 * Positions of patches between those of a table of 48 x 48, as in the vision tower of Qwen3-VL: four patches a token.
 *
 *   npx tsx bench/ops/interpolate-rows.bench.ts [--dtype bf16] [--tokens N] [--json FILE]
 */
import { interpolateRows } from '../../src/ops/interpolate-rows.ts';
import { elementBytes } from '../../src/tensor/tensor.ts';
import { store, type StorageDtype } from '../../test/ops/values.ts';
import { interpolateRows as reference } from '../../test/reference/interpolate-rows.ts';
import { model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const columns = model.hidden;
const side = 48;

export function* interpolateRowsBench(work: Workload): Generator<BenchCase[]> {
  yield work.dtypes.map((dtype) => interpolateCase(dtype, 4 * work.tokens));
}

function interpolateCase(dtype: StorageDtype, count: number): BenchCase {
  const x = numbers(1, count * columns);
  const table = store(dtype, numbers(2, side * side * columns));
  // A row of patches: along a row of the table, between it and the next.
  const places = Array.from({ length: count }, (_, i) => (i * (side - 1)) / count);
  const rows = Uint32Array.from(
    places.flatMap((at) => [0, 1, side, side + 1].map((offset) => Math.floor(at) + offset)),
  );
  const weights = Float32Array.from(places.flatMap((at) => [1 - (at % 1), at % 1].flatMap((w) => [w / 2, w / 2])));
  return {
    op: 'interpolate-rows',
    name: 'positions',
    dtype,
    shape: `${count} of ${side * side}x${columns}`,
    bytes: count * columns * (8 + 4 * elementBytes[dtype]),
    operands: (op) => {
      const operand = op.weight('x', 'f32', [count, columns], x);
      const at = op.weight('rows', 'u32', [count, 4], rows);
      const shares = op.weight('weights', 'f32', [count, 4], weights);
      const values = op.weight('table', dtype, [side * side, columns], table.words);
      return () => interpolateRows(op.graph, operand, at, shares, values);
    },
    rows: count,
    reference: (row) => {
      const corners = [rows.subarray(4 * row, 4 * row + 4), weights.subarray(4 * row, 4 * row + 4)] as const;
      return reference(rowOf(x, row, columns), ...corners, table.values, columns);
    },
    bound: 6 * 2 ** -24, // the kernel's bound for values within ±1 and weights that add up to 1
  };
}

await runIfMain(import.meta.filename, interpolateRowsBench);
