import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { embedding, type Positional } from '../../src/ops/embedding.ts';
import { embedding as reference } from '../reference/embedding.ts';
import { runOp, type OpCase } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, storageDtypes, store, uniform, type Stored, type StorageDtype } from './values.ts';

/** Two additions in f32, each rounded once. */
const roundings = 2 * 2 ** -24;

interface EmbeddingCase extends Case {
  readonly dtype: StorageDtype;
  readonly C: number;
  /** Rows of each part of the table. */
  readonly parts: readonly number[];
  readonly ids: readonly number[];
  readonly positional: Positional['kind'];
  readonly seed: number;
}

const borders = [0, 24, 25, 26, 49, 50, 59, 59, 0];
const many = Array.from({ length: 65 }, (_, i) => (i * 7) % 60);
const cases: EmbeddingCase[] = storageDtypes.flatMap((dtype) =>
  (['none', 'learned'] as const).flatMap((positional) =>
    [4, 28, 64, 260].flatMap((C, seed) => [
      { dtype, C, parts: [60], ids: [59], positional, seed },
      { dtype, C, parts: [25, 25, 10], ids: borders, positional, seed },
      { dtype, C, parts: [1, 59], ids: many, positional, seed },
    ]),
  ),
);

interface Values {
  readonly table: Stored;
  readonly positionTable: Stored;
  readonly tokenType: Float32Array;
  readonly positions: Uint32Array;
}

function valuesOf({ dtype, C, ids, seed }: EmbeddingCase): Values {
  return {
    table: store(dtype, uniform(seed, 60 * C)),
    positionTable: store(dtype, uniform(seed + 100, 80 * C)),
    tokenType: uniform(seed + 200, C),
    positions: Uint32Array.from(ids, (_, t) => t + 2),
  };
}

function record(op: OpCase, { dtype, C, parts, ids, positional }: EmbeddingCase, values: Values) {
  op.sizes = { T: ids.length };
  const wordsPerRow = dtype === 'f32' ? C : C / 2;
  let row = 0;
  const tables = parts.map((rows, i) => {
    const words = values.table.words.slice(row * wordsPerRow, (row += rows) * wordsPerRow);
    return op.weight(`table ${i}`, dtype, [rows, C], words);
  });
  const learned: Positional =
    positional === 'none'
      ? { kind: 'none' }
      : {
          kind: 'learned',
          positions: op.input('positions', 'u32', ['T'], values.positions),
          table: op.weight('position table', dtype, [80, C], values.positionTable.words),
          tokenType: op.weight('token type', 'f32', [C], values.tokenType),
        };
  return embedding(op.graph, op.input('ids', 'u32', ['T'], Uint32Array.from(ids)), tables, learned);
}

const title = ({ dtype, positional }: EmbeddingCase) => `${dtype}, positions ${positional}`;

describeCases('embedding', 'sizes', cases, title, async (one) => {
  const values = valuesOf(one);
  const { positions, tokenType } = values;
  const learned = { positions, table: values.positionTable.values, tokenType };
  const expected = reference(one.ids, values.table.values, one.C, one.positional === 'none' ? undefined : learned);
  const bound = one.positional === 'none' ? 0 : roundings * largest(expected);
  expectClose(`embedding ${one.positional}`, await runOp((op) => record(op, one, values)), expected, bound);
});

const batches = cases.filter(({ C, ids }) => C === 28 && ids.length === borders.length);
describeCases('embedding', 'alone = in a batch', batches, title, async (one) => {
  const values = valuesOf(one);
  const all = await runOp((op) => record(op, one, values));
  // Two sequences, of 4 and 5 tokens.
  for (const [first, end] of [
    [0, 4],
    [4, 9],
  ] as const) {
    const ids = one.ids.slice(first, end);
    const positions = values.positions.slice(first, end);
    const alone = await runOp((op) => record(op, { ...one, ids }, { ...values, positions }));
    expectSameBits(alone, all.subarray(first * one.C, end * one.C));
  }
});

/** The value of a finite 16-bit float, from the definition of its format. */
function decode(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = (bits & 0x7fff) >> fractionBits;
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const magnitude = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  return bits >= 0x8000 ? -magnitude : magnitude;
}

describe('embedding', () => {
  it.each([
    ['f16', 5],
    ['bf16', 8],
  ] as const)('unpacks every finite bit pattern of %s', async (dtype, exponentBits) => {
    const special = (2 ** exponentBits - 1) << (15 - exponentBits); // infinities and NaN, which WGSL may assume away
    const patterns = Array.from({ length: 65_536 }, (_, i) => ((i & special) === special ? 0 : i));
    const words = new Uint32Array(Uint16Array.from(patterns).buffer);
    const ids = Uint32Array.from({ length: 16_384 }, (_, i) => i);
    const out = await runOp((op) => {
      op.sizes = { T: ids.length };
      const table = op.weight('table', dtype, [ids.length, 4], words);
      return embedding(op.graph, op.input('ids', 'u32', ['T'], ids), [table], { kind: 'none' });
    });
    // WGSL allows subnormal f32 (which bf16 has, and f16 has not) to become zero.
    const allowed = (i: number, value: number) => out[i] === value || (out[i] === 0 && Math.abs(value) < 2 ** -126);
    expect(patterns.filter((bits, i) => !allowed(i, decode(bits, exponentBits)))).toEqual([]);
  });

  it('folds more workgroups than one axis of a dispatch has', async () => {
    const table = uniform(1, 7 * 64);
    const ids = Uint32Array.from({ length: 131_080 }, (_, i) => i % 7);
    const out = await runOp((op) => {
      op.sizes = { T: ids.length };
      const weight = op.weight('table', 'f32', [7, 64], table);
      return embedding(op.graph, op.input('ids', 'u32', ['T'], ids), [weight], { kind: 'none' });
    });
    expectSameBits(out, Float32Array.from(reference(ids, table, 64)));
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const ids = graph.input('ids', 'u32', ['T']);
    const table = (...shape: (number | string)[]) => graph.input('table', 'f32', shape);
    const none = { kind: 'none' } as const;
    expect(() => embedding(graph, ids, [table(5, 8), table(5, 12)], none)).toThrow(
      '[embedding] C of first is 8 (expected 12 as before): table f32[5, 12] · first f32[5, 8]',
    );
    expect(() => embedding(graph, ids, [table(5, 6)], none)).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('C is 6') as string }),
    );
    expect(() => embedding(graph, ids, [table('V', 8)], none)).toThrow('[embedding] V is V (expected a length');
    const learned = {
      kind: 'learned',
      positions: graph.input('p', 'u32', ['S']),
      table: table(9, 8),
      tokenType: table(8),
    } as const;
    expect(() => embedding(graph, ids, [table(5, 8)], learned)).toThrow('T of positions is S (expected T as before)');
    expect(() => embedding(graph, ids, [], none)).toThrow(RangeError);
  });
});
