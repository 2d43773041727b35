/**
 * Epilogues as passes of their own: what fusing them into a product saves.
 *
 *   npx tsx bench/ops/elementwise.bench.ts [--case bias-gelu] [--tokens N] [--json FILE]
 */
import { elementwise } from '../../src/ops/elementwise.ts';
import { epilogueKinds, type Epilogue } from '../../src/ops/epilogue.ts';
import { elementwise as reference } from '../../test/reference/elementwise.ts';
import { epilogueOperands, model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

export function* elementwiseBench({ tokens }: Workload): Generator<BenchCase[]> {
  yield epilogueKinds.map((kind) => elementwiseCase(kind, tokens));
}

function elementwiseCase(kind: Epilogue['kind'], rows: number): BenchCase {
  const columns = kind.startsWith('bias-gelu') ? model.intermediate : model.hidden;
  const x = numbers(1, rows * columns, 4);
  const bias = numbers(2, columns);
  const residual = kind.endsWith('residual') ? numbers(3, rows * columns) : new Float32Array();
  return {
    op: 'elementwise',
    name: kind,
    shape: `${rows}x${columns}`,
    bytes: 4 * rows * columns * (kind.endsWith('residual') ? 3 : 2),
    operands: (op) => {
      const operand = op.weight('x', 'f32', [rows, columns], x);
      const epilogue = epilogueOperands(op, kind, bias, residual);
      return () => elementwise(op.graph, operand, epilogue);
    },
    rows,
    reference: (row) => reference(kind, rowOf(x, row, columns), bias, rowOf(residual, row, columns)),
    bound: 3e-6, // erf's 1.5e-7 times half of |x| ≤ 5, exp's and the quotient's units, and roundings of values up to 6
  };
}

await runIfMain(import.meta.filename, elementwiseBench);
