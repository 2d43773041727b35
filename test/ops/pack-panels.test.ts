import { describe, expect, it } from 'vitest';
import { packedBytes } from '../../src/ops/matmul.ts';
import { packedWords } from '../../src/ops/pack-panels.ts';
import { Random } from '../fuzz/random.ts';
import { packPanels as reference } from '../reference/pack-panels.ts';
import { fill, packSlice, packWeight, poison, readWords, testGpu } from '../support/op-harness.ts';
import { describeCases, type Case } from './cases.ts';

interface PackCase extends Case {
  readonly n: number;
  readonly k: number;
  readonly bits: number;
  readonly seed: number;
}

const cases: PackCase[] = [16, 32].flatMap((bits) =>
  [1, 4, 28, 31, 32, 33, 36, 60, 64, 68, 132].flatMap((n) => [2, 4, 20, 64].map((k) => ({ n, k, bits, seed: n * k }))),
);

/** Random elements, any bit pattern: packing moves them. */
function elementsOf({ n, k, bits, seed }: PackCase): number[] {
  const random = new Random(seed);
  return Array.from({ length: n * k }, () => random.below(2 ** bits));
}

function toWords(values: readonly number[], bits: number): Uint32Array {
  if (bits === 32) return Uint32Array.from(values);
  const words = new Uint32Array(Math.ceil(values.length / 2));
  values.forEach((value, i) => (words[i >> 1]! |= value << (16 * (i & 1))));
  return words;
}

describeCases(
  'pack-panels',
  'exact',
  cases,
  ({ bits, n }) => `${n} rows of ${bits}-bit elements`,
  async (one) => {
    const { n, k, bits } = one;
    const values = elementsOf(one);
    const buffer = await packWeight(bits === 16, toWords(values, bits), n, k);
    expect(await readWords(buffer)).toEqual(toWords(reference(values, n, k), bits));
    expect(buffer.size).toBe(packedBytes(n, k, bits === 16 ? 'f16' : 'f32'));
  },
);

const sliced = cases.filter(({ n, k }) => n > 64 && k === 20);
describeCases(
  'pack-panels',
  'in slices = at once',
  sliced,
  ({ bits, n }) => `${n} × ${bits} bits`,
  async (one) => {
    const { n, k, bits } = one;
    const values = elementsOf(one);
    const { gpu } = await testGpu();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const words = packedWords(n, k, bits === 16);
    const target = gpu.createBuffer('sliced', (words + 100) * 4, usage);
    fill(gpu, target);
    for (const [first, end] of [
      [64, n],
      [0, 64],
    ] as const) {
      const slice = toWords(values.slice(first * k, end * k), bits);
      await packSlice(bits === 16, slice, end - first, k, first / 32, target);
    }
    const all = await readWords(target);
    expect(all.subarray(0, words)).toEqual(toWords(reference(values, n, k), bits));
    expect(all.subarray(words).every((word) => word === poison)).toBe(true);
  },
);

describe('pack-panels', () => {
  it('folds more workgroups than one axis of a dispatch has', async () => {
    // 32,800 rows of 64 make 2,099,200 words in 32,800 workgroups, beyond one fold of 32,768.
    const words = Uint32Array.from({ length: 32_800 * 64 }, (_, i) => i);
    const packed = await readWords(await packWeight(false, words, 32_800, 64));
    for (const [n, k] of [
      [0, 0],
      [31, 63],
      [32, 0],
      [20_000, 17],
      [32_799, 63],
    ] as const) {
      expect(packed[Math.floor(n / 32) * 64 * 32 + k * 32 + (n % 32)]).toBe(n * 64 + k);
    }
    expect(new Set(packed).size).toBe(words.length);
  });
});
