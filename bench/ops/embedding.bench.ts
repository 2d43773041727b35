/**
 * Rows of a vocabulary table by token id, with learned positions and without.
 *
 *   npx tsx bench/ops/embedding.bench.ts [--case learned] [--dtype bf16] [--tokens N] [--json FILE]
 */
import { embedding, type Positional } from '../../src/ops/embedding.ts';
import { elementBytes } from '../../src/tensor/tensor.ts';
import { Random } from '../../test/fuzz/random.ts';
import { store, type StorageDtype } from '../../test/ops/values.ts';
import { embedding as reference } from '../../test/reference/embedding.ts';
import { model, numbers, runIfMain, type BenchCase, type Workload } from './harness.ts';

const columns = model.hidden;
/** 82 MB in f32: beyond caches, within one binding of lavapipe. The checkpoint's 250,002 rows are cut to parts of that size. */
const vocabulary = 20_000;

export function* embeddingBench(work: Workload): Generator<BenchCase[]> {
  yield work.dtypes.flatMap((dtype) => casesOf(dtype, work));
}

function casesOf(dtype: StorageDtype, { tokens, sequences }: Workload): BenchCase[] {
  const random = new Random(1);
  const ids = Uint32Array.from({ length: tokens }, () => random.below(vocabulary));
  const positions = Uint32Array.from(sequences.flatMap((length) => Array.from({ length }, (_, i) => i + 2)));
  const table = store(dtype, numbers(2, vocabulary * columns));
  const positionTable = store(dtype, numbers(3, model.positions * columns));
  const tokenType = numbers(4, columns);
  return (['none', 'learned'] as const).map((kind) => ({
    op: 'embedding',
    name: kind,
    dtype,
    shape: `${tokens} of ${vocabulary}x${columns}`,
    bytes: tokens * columns * (4 + elementBytes[dtype] * (kind === 'learned' ? 2 : 1)),
    operands: (op) => {
      const words = op.weight('table', dtype, [vocabulary, columns], table.words);
      const rows = op.weight('ids', 'u32', [tokens], ids);
      const positional: Positional =
        kind === 'none'
          ? { kind }
          : {
              kind,
              positions: op.weight('positions', 'u32', [tokens], positions),
              table: op.weight('position table', dtype, [model.positions, columns], positionTable.words),
              tokenType: op.weight('token type', 'f32', [columns], tokenType),
            };
      return () => embedding(op.graph, rows, [words], positional);
    },
    rows: tokens,
    reference: (row) => {
      const learned = { positions: [positions[row]!], table: positionTable.values, tokenType };
      return reference([ids[row]!], table.values, columns, kind === 'learned' ? learned : undefined);
    },
    bound: 3 * 2 ** -23, // two additions of values up to 3
  }));
}

await runIfMain(import.meta.filename, embeddingBench);
