/**
 * Attention of all tokens, as in every layer but the last, and of each sequence's scored token alone; then that of a decoder:
 * causal, two heads of 128 to one of keys and values (Qwen3-Reranker-0.6B).
 *
 *   npx tsx bench/ops/attention.bench.ts [--case scored] [--variant blocked] [--tokens N] [--length N] [--json FILE]
 */
import { layOutBatch, layOutSharedBatch } from '../../src/nn/ragged-batch.ts';
import {
  attention,
  attentionVariants,
  runsAttention,
  tileRows,
  tileWords,
  type AttentionVariantName,
} from '../../src/ops/attention.ts';
import { attention as reference } from '../../test/reference/attention.ts';
import { model, numbers, rowOf, runIfMain, type BenchCase, type Workload } from './harness.ts';

const encoder = { heads: model.heads, kvHeads: model.heads, size: model.headSize };
const decoder = { heads: 16, kvHeads: 8, size: 128 };

export function* attentionBench({ tokens, sequences, traits }: Workload): Generator<BenchCase[]> {
  const variants = (Object.keys(attentionVariants) as AttentionVariantName[]).filter((v) => runsAttention(v, traits));
  const ids = sequences.map((length) => new Int32Array(length));
  const encoded = (rows: number) => layOutBatch(ids, 0, () => 0, rows);
  const decoded = (rows: number) => {
    const groups = ids.map((own) => ({ prefix: new Int32Array(0), own: [own] }));
    return layOutSharedBatch(groups, 0, rows);
  };
  const forms = [
    { name: 'all', head: encoder, batch: encoded, causal: false },
    { name: 'scored', head: encoder, batch: encoded, causal: false },
    { name: 'causal', head: decoder, batch: decoded, causal: true },
  ] as const;
  for (const { name, head, batch, causal } of forms) {
    const { heads, kvHeads, size } = head;
    const [width, kvWidth] = [heads * size, 2 * kvHeads * size];
    const scale = size ** -0.5;
    const keyValue = numbers(1, tokens * kvWidth);
    const query = numbers(2, tokens * width, 8); // scores within about ±10: neither flat nor one-hot
    const rows = name === 'scored' ? sequences.length : tokens;
    const seen = (n: number) => (name === 'scored' ? n : causal ? (n * (n + 1)) / 2 : n * n);
    const flops = sequences.reduce((sum, n) => sum + 4 * width * seen(n), 0);
    yield variants.map((variant) => ({
      op: 'attention',
      name,
      variant,
      shape: `${rows} of ${tokens}, ${heads}${kvHeads === heads ? '' : `/${kvHeads}`}x${size}, ${sequences.length} seq`,
      flops,
      operands: (op) => {
        const words = batch(tileRows(variant)).inputs[name === 'scored' ? 'scoredTiles' : 'tiles']!;
        const q = op.weight('query', 'f32', [rows, width], query.subarray(0, rows * width));
        const kv = op.weight('keyValue', 'f32', [tokens, kvWidth], keyValue);
        const tiles = op.weight('tiles', 'u32', [words.length / tileWords, tileWords], words);
        return () => attention(op.graph, variant, q, kv, tiles, { heads, kvHeads, scale });
      },
      rows,
      reference: (row) => {
        const [first, end] = keysOf(sequences, (first, end, s) =>
          name === 'scored' ? s === row : first <= row && row < end,
        );
        const keys = Array.from({ length: end - first }, (_, j) => first + j);
        const asking = [{ queries: [0, 1], keys, horizon: causal ? row - first : Infinity }] as const;
        return reference(rowOf(query, row, width), keyValue, asking, { ...head, scale });
      },
      bound: 3e-6 * Math.sqrt(size), // the kernels' promise for values within ±1
    }));
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
