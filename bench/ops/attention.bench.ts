/**
 * Attention of all tokens, as in every layer but the last, and of each sequence's scored token alone.
 *
 *   npx tsx bench/ops/attention.bench.ts [--case scored] [--variant blocked] [--tokens N] [--length N] [--json FILE]
 */
import { layOutBatch } from '../../src/nn/ragged-batch.ts';
import { attention, attentionVariants, tileRows, type AttentionVariantName } from '../../src/ops/attention.ts';
import { attention as reference } from '../../test/reference/attention.ts';
import { model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const { hidden, heads, headSize } = model;
const scale = headSize ** -0.5;
const variants = Object.keys(attentionVariants) as AttentionVariantName[];

export function* attentionBench({ tokens, sequences }: Workload): Generator<BenchCase[]> {
  const keyValue = numbers(1, tokens * 2 * hidden);
  const query = numbers(2, tokens * hidden, 8); // scores within about ±10: neither flat nor one-hot
  for (const name of ['all', 'scored']) {
    const rows = name === 'all' ? tokens : sequences.length;
    const flops = sequences.reduce((sum, n) => sum + 4 * hidden * n * (name === 'all' ? n : 1), 0);
    yield variants.map((variant) => {
      const ids = sequences.map((length) => new Int32Array(length));
      const { inputs } = layOutBatch(ids, 0, () => 0, tileRows(variant));
      const tiles = inputs[name === 'all' ? 'tiles' : 'scoredTiles']!;
      return {
        op: 'attention',
        name,
        variant,
        shape: `${rows} of ${tokens}, ${heads}x${headSize}, ${sequences.length} seq`,
        flops,
        operands: (op) => {
          const q = op.weight('query', 'f32', [rows, hidden], query.subarray(0, rows * hidden));
          const kv = op.weight('keyValue', 'f32', [tokens, 2 * hidden], keyValue);
          const t = op.weight('tiles', 'u32', [tiles.length / 4, 4], tiles);
          return () => attention(op.graph, variant, q, kv, t, heads, scale);
        },
        rows,
        reference: (row) => {
          const keys = keysOf(sequences, (first, end, s) => (name === 'all' ? first <= row && row < end : s === row));
          return reference(rowOf(query, row, hidden), keyValue, [{ queries: [0, 1], keys }], heads, headSize, scale);
        },
        bound: 1e-5, // the kernels' promise for values within ±1
      };
    });
  }
}

/** First key and end of the sequence that `asks`. */
function keysOf(
  sequences: readonly number[],
  asks: (first: number, end: number, sequence: number) => boolean,
): [first: number, end: number] {
  let first = 0;
  for (const [s, length] of sequences.entries()) {
    if (asks(first, first + length, s)) return [first, first + length];
    first += length;
  }
  throw new RangeError('the row belongs to no sequence');
}

await runIfMain(import.meta.filename, attentionBench);
