/**
 * Products of the model's linear layers with their epilogues, and 1024³ alone.
 *
 *   npx tsx bench/ops/matmul.bench.ts [--case cube] [--variant rows-8x128] [--dtype f16] [--tokens N] [--json FILE]
 */
import type { Epilogue } from '../../src/ops/epilogue.ts';
import { matmul, matmulVariants, runsMatmul, type MatmulVariantName } from '../../src/ops/matmul.ts';
import { store } from '../../test/ops/values.ts';
import { elementwise as referenceEpilogue } from '../../test/reference/elementwise.ts';
import { matmul as reference } from '../../test/reference/matmul.ts';
import { epilogueOperands, model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const { hidden, intermediate } = model;

export function* matmulBench(work: Workload): Generator<BenchCase[]> {
  yield group('cube', 1024, 1024, 1024, 'none', work);
  yield group('query', work.tokens, hidden, hidden, 'bias', work);
  yield group('key-value', work.tokens, 2 * hidden, hidden, 'bias', work);
  yield group('up', work.tokens, intermediate, hidden, 'bias-gelu', work);
  yield group('down', work.tokens, hidden, intermediate, 'bias-residual', work);
}

function group(
  name: string,
  rows: number,
  n: number,
  k: number,
  kind: Epilogue['kind'],
  { dtypes, traits }: Workload,
): BenchCase[] {
  const variants = (Object.keys(matmulVariants) as MatmulVariantName[]).filter((name) => runsMatmul(name, traits));
  const x = numbers(1, rows * k);
  const bias = numbers(2, n);
  const residual = kind.endsWith('residual') ? numbers(3, rows * n) : new Float32Array();
  return dtypes.flatMap((dtype) => {
    const weight = store(dtype, numbers(4, n * k));
    return variants.map((variant) => ({
      op: 'matmul',
      name,
      variant,
      dtype,
      shape: `${rows}x${k} · ${k}x${n} ${kind}`,
      flops: 2 * rows * n * k,
      operands: (op) => {
        const operand = op.weight('x', 'f32', [rows, k], x);
        const linear = op.weight('weight', dtype, [n, k], weight.words);
        const epilogue = epilogueOperands(op, kind, bias, residual);
        return () => matmul(op.graph, variant, operand, linear, epilogue);
      },
      rows,
      reference: (row) => {
        const product = reference(rowOf(x, row, k), weight.values, 1, n, k);
        return referenceEpilogue(kind, product, bias, rowOf(residual, row, n));
      },
      bound: 1e-7 * (k + 32), // sums round as test/ops/matmul.test.ts explains; GELU's slope and the epilogue's own error
    }));
  });
}

await runIfMain(import.meta.filename, matmulBench);
