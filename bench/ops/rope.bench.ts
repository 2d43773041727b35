/**
 * Rotary positions at the heads of Qwen3-Reranker-0.6B: 16 queries of 128, and 8 keys before 8 values that are copied; and at
 * those of Qwen3-VL, with three positions a token in its text side and two in its vision tower.
 *
 *   npx tsx bench/ops/rope.bench.ts [--case query] [--variant rms] [--tokens N] [--json FILE]
 */
import { frameRotaryTable, rotaryTable } from '../../src/nn/rotary.ts';
import { headNormKinds, rope, type HeadNorm, type RotaryAxes } from '../../src/ops/rope.ts';
import { rope as reference } from '../../test/reference/rope.ts';
import { numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const eps = 1e-6;

interface Form {
  readonly name: string;
  readonly heads: number;
  readonly rotated: number;
  readonly size: number;
  readonly axes: RotaryAxes;
  /** Positions of the token at place i of its sequence. */
  readonly positions: (i: number) => readonly number[];
  readonly table: (positions: number) => Float32Array;
  readonly norms: readonly HeadNorm['kind'][];
}

const text = { size: 128, table: (count: number) => rotaryTable(count, 128, 1e6), norms: headNormKinds };
const one = { ...text, axes: { kind: 'one' }, positions: (i: number) => [i] } as const;
const forms: Form[] = [
  { ...one, name: 'query', heads: 16, rotated: 16 },
  { ...one, name: 'key-value', heads: 16, rotated: 8 },
  {
    ...text,
    name: 'interleaved',
    heads: 16,
    rotated: 16,
    axes: { kind: 'interleaved', sections: [24, 20, 20] },
    positions: (i) => [0, i >> 5, i % 32],
  },
  {
    name: 'row-column',
    heads: 48,
    rotated: 32,
    size: 64,
    axes: { kind: 'row-column' },
    positions: (i) => [i >> 5, i % 32],
    table: (count) => frameRotaryTable(count, 64, 1e4),
    norms: ['none'],
  },
];

export function* ropeBench(work: Workload): Generator<BenchCase[]> {
  const longest = Math.max(32, ...work.sequences);
  for (const form of forms) {
    const table = form.table(longest);
    yield form.norms.map((kind) => ropeCase(form, kind, table, work));
  }
}

function ropeCase(form: Form, kind: HeadNorm['kind'], table: Float32Array, { tokens, sequences }: Workload): BenchCase {
  const { name, heads, rotated, size, axes } = form;
  const width = heads * size;
  const x = numbers(1, tokens * width);
  const weight = numbers(2, size);
  const places = sequences.flatMap((length) => Array.from({ length }, (_, i) => form.positions(i)));
  const count = places[0]!.length;
  const positions = Uint32Array.from(places.flat());
  return {
    op: 'rope',
    name,
    variant: kind,
    shape: `${tokens}x${heads}x${size}`,
    bytes: 8 * tokens * width,
    operands: (op) => {
      const operand = op.weight('x', 'f32', [tokens, width], x);
      const at = op.weight('positions', 'u32', axes.kind === 'one' ? [tokens] : [tokens, count], positions);
      const angles = op.weight('table', 'f32', [table.length / size, size], table);
      const norm: HeadNorm =
        kind === 'none' ? { kind } : { kind, weight: op.weight('weight', 'f32', [size], weight), eps };
      return () => rope(op.graph, operand, at, angles, norm, heads, rotated, axes);
    },
    rows: tokens,
    reference: (row) => {
      const norm = kind === 'rms' ? { weight, eps } : undefined;
      return reference(rowOf(x, row, width), places[row]!, table, size, heads, rotated, norm, axes);
    },
    bound: 5e-6, // the kernel's 2e-6 of pairs up to 2.5 long
  };
}

await runIfMain(import.meta.filename, ropeBench);
