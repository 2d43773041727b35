/**
 * Rotary positions at the heads of Qwen3-Reranker-0.6B: 16 queries of 128, and 8 keys before 8 values that are copied.
 *
 *   npx tsx bench/ops/rope.bench.ts [--case query] [--variant rms] [--tokens N] [--json FILE]
 */
import { rotaryTable } from '../../src/nn/rotary.ts';
import { headNormKinds, rope, type HeadNorm } from '../../src/ops/rope.ts';
import { rope as reference } from '../../test/reference/rope.ts';
import { numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const [size, theta, eps] = [128, 1e6, 1e-6];
const forms = [
  { name: 'query', heads: 16, rotated: 16 },
  { name: 'key-value', heads: 16, rotated: 8 },
];

export function* ropeBench(work: Workload): Generator<BenchCase[]> {
  const longest = Math.max(...work.sequences);
  const table = rotaryTable(longest, size, theta);
  for (const form of forms) yield headNormKinds.map((kind) => ropeCase(form, kind, table, work));
}

function ropeCase(
  { name, heads, rotated }: (typeof forms)[number],
  kind: HeadNorm['kind'],
  table: Float32Array,
  { tokens, sequences }: Workload,
): BenchCase {
  const width = heads * size;
  const x = numbers(1, tokens * width);
  const weight = numbers(2, size);
  const positions = Uint32Array.from(sequences.flatMap((length) => Array.from({ length }, (_, i) => i)));
  return {
    op: 'rope',
    name,
    variant: kind,
    shape: `${tokens}x${heads}x${size}`,
    bytes: 8 * tokens * width,
    operands: (op) => {
      const operand = op.weight('x', 'f32', [tokens, width], x);
      const at = op.weight('positions', 'u32', [tokens], positions);
      const angles = op.weight('table', 'f32', [table.length / size, size], table);
      const norm: HeadNorm =
        kind === 'none' ? { kind } : { kind, weight: op.weight('weight', 'f32', [size], weight), eps };
      return () => rope(op.graph, operand, at, angles, norm, heads, rotated);
    },
    rows: tokens,
    reference: (row) => {
      const norm = kind === 'rms' ? { weight, eps } : undefined;
      return reference(rowOf(x, row, width), [positions[row]!], table, size, heads, rotated, norm);
    },
    bound: 5e-6, // the kernel's 2e-6 of pairs up to 2.5 long
  };
}

await runIfMain(import.meta.filename, ropeBench);
