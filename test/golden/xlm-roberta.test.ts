import { describe, expect, test } from 'vitest';
import { fixture, loadGoldenModel, readGoldens, type LoadOptions } from '../support/golden-model.ts';

/** What two f32 implementations with other summation orders may differ by, relative to the tensor's largest value. */
const intermediateTolerance = 1e-4;
const logitTolerance = 5e-4;
/** In the f16 and bf16 sets the oracle rounds the scoring vector too, which we keep in f32: up to 2^-9 of the logit's terms. */
const roundedLogitTolerance = 2e-2;

const stored = { 'xlmr-a': 'f32', 'xlmr-b': 'f32', 'xlmr-c': 'bf16', 'xlmr-d': 'f16' } as const;
type Folder = keyof typeof stored;

function golden(folder: Folder) {
  const tensors = readGoldens(fixture(folder));
  const ids: Int32Array[] = [];
  for (let i = 0; tensors.has(`seq${i}.ids`); i++) ids.push(tensors.get(`seq${i}.ids`) as Int32Array);
  return { ids, of: (name: string) => tensors.get(name) as Float32Array | undefined };
}

/** Runs a fixture in one batch and compares every output with the oracle's set `prefix`. @returns what was compared */
async function compare(folder: Folder, prefix: string, options: LoadOptions) {
  const { ids, of } = golden(folder);
  const model = await loadGoldenModel(fixture(folder), { taps: true, ...options });
  const outputs = await model.run(ids);
  model.close();
  const compared: Record<string, number> = {};
  for (const [output, perSequence] of Object.entries(outputs)) {
    for (const [i, rows] of perSequence.entries()) {
      const reference = of(`${prefix}seq${i}.${output}`);
      if (!reference) continue;
      const error = output === 'logits' ? Math.abs(rows[0]! - reference[0]!) : relativeError(rows, reference);
      const ofLogit = prefix === '' ? logitTolerance : roundedLogitTolerance;
      const tolerance = output === 'logits' ? ofLogit : intermediateTolerance;
      expect
        .soft(error, `${folder} ${prefix}seq${i}.${output} ${JSON.stringify(options)}`)
        .toBeLessThanOrEqual(tolerance);
      compared[output] = Math.max(compared[output] ?? 0, error);
    }
  }
  return compared;
}

/** max|Δ| / max|ref| over the rows that we compute: in the last layer that is the scored one, the oracle's first. */
function relativeError(rows: Float32Array, reference: Float32Array): number {
  let difference = 0;
  let largest = 0;
  rows.forEach((value, i) => {
    const delta = Math.abs(value - reference[i]!);
    difference = delta <= difference ? difference : delta; // keeps NaN
    largest = Math.max(largest, Math.abs(reference[i]!));
  });
  return difference / largest;
}

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
  const bits = (rows: readonly Float32Array[]) =>
    rows.map((row) => new Uint32Array(row.slice().buffer)[0]!.toString(16));

  test.each(['xlmr-a', 'xlmr-b', 'xlmr-d'] as const)(
    '%s: alone, together, reversed, repeated, overlapping',
    async (folder) => {
      const { ids } = golden(folder);
      const model = await loadGoldenModel(fixture(folder), { dtype: stored[folder] });
      const together = bits((await model.run(ids))['logits']!);
      const alone: string[] = [];
      for (const sequence of ids) alone.push(...bits((await model.run([sequence]))['logits']!));
      const reversed = bits((await model.run(ids.toReversed()))['logits']!).toReversed();
      const overlapping = await Promise.all(
        ids.map(async (sequence) => bits((await model.run([sequence]))['logits']!)[0]!),
      );
      const repeated = bits((await model.run([...ids.slice(0, 5), ...ids.slice(0, 5)]))['logits']!);
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
      return bits(outputs['logits']!);
    };
    expect(await logits(false)).toEqual(await logits(true));
  });

  test('a vocabulary table cut by the binding limit gives the same bits', async () => {
    const { ids } = golden('xlmr-a');
    const logits = async (bindingBytes?: number) => {
      const model = await loadGoldenModel(fixture('xlmr-a'), { dtype: 'f32', ...(bindingBytes && { bindingBytes }) });
      const outputs = await model.run(ids);
      model.close();
      return { tables: model.tables, bits: bits(outputs['logits']!) };
    };
    const whole = await logits();
    const cut = await logits(64 * 64 * 4);
    expect(whole.tables).toBe(2); // vocabulary, positions
    expect(cut.tables).toBe(6); // 300 rows of 64 by 64 rows, and the positions whole
    expect(cut.bits).toEqual(whole.bits);
  });
});
