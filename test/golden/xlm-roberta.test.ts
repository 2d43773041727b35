import { describe, expect, test } from 'vitest';
import { bitsOf, compareWithGoldens, golden, type Tolerances } from '../support/compare-goldens.ts';
import { fixture, loadGoldenModel, type LoadOptions } from '../support/golden-model.ts';

/** What two f32 implementations with other summation orders may differ by, relative to the tensor's largest value. */
const exact: Tolerances = { intermediate: 1e-4, logit: 5e-4 };
/** In the f16 and bf16 sets the oracle rounds the scoring vector too, which we keep in f32: up to 2^-9 of the logit's terms. */
const rounded: Tolerances = { intermediate: 1e-4, logit: 2e-2 };

const stored = { 'xlmr-a': 'f32', 'xlmr-b': 'f32', 'xlmr-c': 'bf16', 'xlmr-d': 'f16' } as const;
type Folder = keyof typeof stored;

const compare = (folder: Folder, prefix: string, options: LoadOptions) =>
  compareWithGoldens(folder, prefix, options, prefix === '' ? exact : rounded, 'first');

describe.each(Object.keys(stored) as Folder[])('%s against transformers in f32', (folder) => {
  test.each([true, false])('every intermediate and the logit (fused: %s)', async (fused) => {
    const compared = await compare(folder, '', { dtype: stored[folder], fused });
    const layers = Object.keys(compared).filter((name) => name.startsWith('layer')).length;
    expect(layers).toBeGreaterThan(0);
    expect(Object.keys(compared)).toEqual(expect.arrayContaining(['embeddings', 'pooled', 'logits']));
  });

  test.each(['f16', 'bf16'] as const)('weights stored as %s: f32 arithmetic on the rounded weights', async (dtype) => {
    const compared = await compare(folder, `${dtype}/`, { dtype });
    expect(compared).toHaveProperty('logits');
  });
});

describe.each(['portable', 'gpu'] as const)('%s kernels, run on whatever adapter is here', (kernels) => {
  test.each(['xlmr-a', 'xlmr-b'] as const)('%s', async (folder) => {
    const compared = await compare(folder, '', { dtype: stored[folder], kernels });
    expect(compared).toHaveProperty('logits');
  });
});

describe('the score of a pair depends on the pair alone', () => {
  test.each(['xlmr-a', 'xlmr-b', 'xlmr-d'] as const)(
    '%s: alone, together, reversed, repeated, overlapping',
    async (folder) => {
      const { ids } = golden(folder);
      const model = await loadGoldenModel(fixture(folder), { dtype: stored[folder] });
      const together = bitsOf((await model.run(ids))['logits']!);
      const alone: string[] = [];
      for (const sequence of ids) alone.push(...bitsOf((await model.run([sequence]))['logits']!));
      const reversed = bitsOf((await model.run(ids.toReversed()))['logits']!).toReversed();
      const overlapping = await Promise.all(
        ids.map(async (sequence) => bitsOf((await model.run([sequence]))['logits']!)[0]!),
      );
      const repeated = bitsOf((await model.run([...ids.slice(0, 5), ...ids.slice(0, 5)]))['logits']!);
      model.close();
      expect(alone).toEqual(together);
      expect(reversed).toEqual(together);
      expect(overlapping).toEqual(together);
      expect(repeated).toEqual([...together.slice(0, 5), ...together.slice(0, 5)]);
    },
  );

  test('fused and unfused launches give the same bits', async () => {
    const { ids } = golden('xlmr-a');
    const logits = async (fused: boolean) => {
      const model = await loadGoldenModel(fixture('xlmr-a'), { dtype: 'f32', fused });
      const outputs = await model.run(ids);
      model.close();
      return bitsOf(outputs['logits']!);
    };
    expect(await logits(false)).toEqual(await logits(true));
  });

  test('a vocabulary table cut by the binding limit gives the same bits', async () => {
    const { ids } = golden('xlmr-a');
    const logits = async (bindingBytes?: number) => {
      const model = await loadGoldenModel(fixture('xlmr-a'), { dtype: 'f32', ...(bindingBytes && { bindingBytes }) });
      const outputs = await model.run(ids);
      model.close();
      return { tables: model.tables, bits: bitsOf(outputs['logits']!) };
    };
    const whole = await logits();
    const cut = await logits(64 * 64 * 4);
    expect(whole.tables).toBe(2); // vocabulary, positions
    expect(cut.tables).toBe(6); // 300 rows of 64 by 64 rows, and the positions whole
    expect(cut.bits).toEqual(whole.bits);
  });
});
