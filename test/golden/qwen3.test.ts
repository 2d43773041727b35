import { describe, expect, test } from 'vitest';
import { bitsOf, compareWithGoldens, golden, type Tolerances } from '../support/compare-goldens.ts';
import { fixture, loadGoldenModel, type LoadOptions } from '../support/golden-model.ts';

/** What two f32 implementations with other summation orders may differ by, relative to the tensor's largest value. */
const exact: Tolerances = { intermediate: 1e-4, logit: 1e-3 };
/** A residual stream of 1e6 leaves f32 few digits for the rest: the oracle itself is off by 1.5e-4 there. */
const outliers: Tolerances = { intermediate: 1e-3, logit: 1e-3 };

/** scripts/make-qwen3-goldens.py */
const scoring = { yes: 17, no: 5 };
const stored = { 'qwen3-a': 'bf16', 'qwen3-b': 'f32', 'qwen3-c': 'f16', 'qwen3-d': 'f32' } as const;
type Folder = keyof typeof stored;
const folders = Object.keys(stored) as Folder[];

const logitsOf = async (folder: string, options: LoadOptions) => {
  const model = await loadGoldenModel(fixture(folder), { scoring, ...options });
  const outputs = await model.run(golden(folder).ids);
  model.close();
  return outputs['logits']!;
};

describe.each(folders)('%s against transformers in f32', (folder) => {
  test.each([true, false])('every intermediate and the logit (fused: %s)', async (fused) => {
    // Rows of shared prefixes are computed once: intermediates are compared without sharing.
    const options = { dtype: stored[folder], fused, scoring, sharePrefix: false, taps: true };
    const compared = await compareWithGoldens(folder, '', options, exact, 'last');
    expect(Object.keys(compared)).toEqual(expect.arrayContaining(['embeddings', 'layer0', 'final', 'logits']));
  });

  test.each(['f16', 'bf16'] as const)('weights stored as %s: f32 arithmetic on the rounded weights', async (dtype) => {
    const options = { dtype, scoring, sharePrefix: false, taps: true };
    expect(await compareWithGoldens(folder, `${dtype}/`, options, exact, 'last')).toHaveProperty('logits');
  });

  test('p(yes) is within 1e-4', async () => {
    const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
    const logits = await logitsOf(folder, { dtype: stored[folder] });
    logits.forEach((row, i) => {
      const expected = sigmoid(golden(folder).of(`seq${i}.logits`)![0]!);
      expect(Math.abs(sigmoid(row[0]!) - expected), `seq${i}`).toBeLessThanOrEqual(1e-4);
    });
  });
});

test('a residual stream of 1e6 gives the f32 answer', async () => {
  const options = { dtype: 'f32', scoring, sharePrefix: false, taps: true } as const;
  expect(await compareWithGoldens('qwen3-e', '', options, outliers, 'last')).toHaveProperty('logits');
});

describe.each(['portable', 'gpu'] as const)('%s kernels, run on whatever adapter is here', (kernels) => {
  test.each(['qwen3-a', 'qwen3-d'] as const)('%s', async (folder) => {
    const options = { dtype: stored[folder], kernels, scoring, sharePrefix: false, taps: true };
    expect(await compareWithGoldens(folder, '', options, exact, 'last')).toHaveProperty('logits');
  });

  test('a shared prefix gives the same bits', async () => {
    const shared = await logitsOf('qwen3-a', { dtype: 'bf16', kernels });
    const unshared = await logitsOf('qwen3-a', { dtype: 'bf16', kernels, sharePrefix: false });
    expect(bitsOf(shared)).toEqual(bitsOf(unshared));
  });
});

describe('the score of a pair depends on the pair alone', () => {
  test.each(folders)('%s: prefix shared or not, alone, reversed, among others', async (folder) => {
    const { ids } = golden(folder);
    const options = { dtype: stored[folder], scoring };
    const sharing = await loadGoldenModel(fixture(folder), options);
    const apart = await loadGoldenModel(fixture(folder), { ...options, sharePrefix: false });
    const bits = async (model: typeof sharing, sequences: readonly Int32Array[]) =>
      bitsOf((await model.run(sequences))['logits']!);
    const together = await bits(sharing, ids);
    expect(await bits(apart, ids)).toEqual(together);
    const alone: string[] = [];
    for (const sequence of ids) alone.push(...(await bits(sharing, [sequence])));
    expect(alone).toEqual(together);
    expect((await bits(sharing, ids.toReversed())).toReversed()).toEqual(together);
    const tail = ids.slice(-4);
    expect(await bits(sharing, [...tail, ...tail])).toEqual([...together.slice(-4), ...together.slice(-4)]);
    expect(sharing.tokensOf([...tail, ...tail])).toBeLessThan(apart.tokensOf([...tail, ...tail]));
    sharing.close();
    apart.close();
  });
});
