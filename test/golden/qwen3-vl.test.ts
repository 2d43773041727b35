import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { EncodedMedia } from '../../src/media/encoded-media.ts';
import { visualPositions } from '../../src/nn/visual-positions.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { VisualPairs, type Visual } from '../../src/rerank/visual-pairs.ts';
import { bitsOf, relativeError } from '../support/compare-goldens.ts';
import { fixture, loadGoldenModel, readGoldens, type LoadOptions } from '../support/golden-model.ts';

/** What two f32 implementations with other summation orders may differ by: relative to the largest value, and absolute. */
const tolerances = { intermediate: 1e-4, logit: 2e-3 };
/** One rounding of (byte - mean) / std. */
const valueTolerance = 1e-6;

/** scripts/make-qwen3-vl-goldens.py */
const scoring = { yes: 17, no: 5 };
const stored = { 'qwen3-vl-a': 'bf16', 'qwen3-vl-b': 'f16', 'qwen3-vl-c': 'f32' } as const;
type Folder = keyof typeof stored;
const folders = Object.keys(stored) as Folder[];
const videoPad = 14;

interface Case {
  readonly pair: EnginePair;
  /** i32 [3, T] */
  readonly positions: Int32Array;
  readonly of: (name: string) => Float32Array | undefined;
}

function readCases(folder: Folder): Case[] {
  const tensors = readGoldens(fixture(folder));
  const cases: Case[] = [];
  for (let i = 0; tensors.has(`case${i}.ids`); i++) {
    const ids = tensors.get(`case${i}.ids`) as Int32Array;
    const pads = [...ids].filter((id) => id === 13 || id === videoPad);
    const media: EncodedMedia[] = [];
    let pad = 0;
    for (let j = 0; tensors.has(`case${i}.media${j}.rgb`); j++) {
      const stored = tensors.get(`case${i}.media${j}.rgb`) as Uint8Array;
      const [t, h, w] = tensors.get(`case${i}.media${j}.grid`) as Int32Array;
      const kind = pads[pad] === videoPad ? 'video' : 'image';
      const frameBytes = h! * w! * 768;
      // A clip of an odd number of frames ends with its last one twice.
      const isOdd = kind === 'video' && (stored.length / frameBytes) % 2 === 1;
      const rgb = isOdd ? new Uint8Array([...stored, ...stored.subarray(-frameBytes)]) : stored;
      const frames = rgb.length / frameBytes;
      const hash = createHash('sha256').update(`${kind} ${h} ${w}`).update(rgb).digest('hex');
      media.push({ kind, rgb, frames, height: 16 * h!, width: 16 * w!, hash });
      pad += (t! * h! * w!) / 4;
    }
    cases.push({
      pair: { ids, truncatedTokens: 0, media },
      positions: tensors.get(`case${i}.positions`) as Int32Array,
      of: (name) => tensors.get(`case${i}.${name}`) as Float32Array | undefined,
    });
  }
  return cases;
}

const pairsOf = (cases: readonly Case[]) => cases.map(({ pair }) => pair);

async function load(folder: Folder, options: Partial<LoadOptions> = {}) {
  const model = await loadGoldenModel(fixture(folder), { dtype: stored[folder], scoring, ...options });
  return { ...model, visual: model.visual! };
}

/** Frame pairs of a case, as the engine would hand them to the tower. */
function visualsOf(model: Awaited<ReturnType<typeof load>>, { pair }: Case): readonly Visual[] {
  return new VisualPairs(model.visual.vision, 1024).sequence(pair).visuals ?? [];
}

describe.each(folders)('%s against transformers in f32', (folder) => {
  const cases = readCases(folder);

  test('the fixture shows pictures, clips, and texts alone', () => {
    expect(cases.length).toBe(11);
    expect(cases.filter(({ pair }) => pair.media!.length === 0).length).toBeGreaterThan(0);
    expect(cases.some(({ pair }) => pair.media!.some(({ kind }) => kind === 'video'))).toBe(true);
  });

  test('positions are equal', async () => {
    const model = await load(folder);
    for (const one of cases) {
      const runs = visualsOf(model, one).map(({ unit, at }) => ({
        at,
        rows: unit.height / 32,
        columns: unit.width / 32,
      }));
      const positions = visualPositions(one.pair.ids.length, runs);
      const length = positions.length / 3;
      const byAxis = Array.from(
        { length: 3 * length },
        (_, i) => positions[(i % length) * 3 + Math.floor(i / length)]!,
      );
      expect(byAxis).toEqual([...one.positions]);
    }
    model.close();
  });

  test.each([true, false])('the vision tower, every block (fused: %s)', async (fused) => {
    const model = await load(folder, { taps: true, fused });
    const compared = new Set<string>();
    for (const [i, one] of cases.entries()) {
      const frames = visualsOf(model, one).map(({ unit }) => unit);
      if (frames.length === 0) continue;
      const seen = await model.visual.see(frames);
      const values = one.of('media0.pixel_values');
      if (values) {
        let worst = 0;
        values.forEach((value, at) => (worst = Math.max(worst, Math.abs(value - seen['values']![at]!))));
        expect(worst).toBeLessThanOrEqual(valueTolerance);
        compared.add('values');
      }
      for (const [name, rows] of Object.entries(seen)) {
        const reference = one.of(`vision.${name}`);
        if (!reference) continue;
        expect.soft(relativeError(rows, reference), `case${i} ${name}`).toBeLessThanOrEqual(tolerances.intermediate);
        compared.add(name);
      }
      if (i === 1) expect([...compared].toSorted()).toEqual(Object.keys(seen).toSorted());
    }
    expect(compared.size).toBeGreaterThan(4);
    model.close();
  });

  test.each([true, false])('the language model, every layer and the logit (fused: %s)', async (fused) => {
    const model = await load(folder, { taps: true, fused, sharePrefix: false });
    const outputs = await model.visual.run(pairsOf(cases));
    model.close();
    const compared = new Map<string, number>();
    for (const [name, perCase] of Object.entries(outputs)) {
      for (const [i, rows] of perCase.entries()) {
        const reference = cases[i]!.of(name);
        if (!reference) continue;
        const ofRows = reference.subarray(reference.length - rows.length);
        const error = name === 'logits' ? Math.abs(rows[0]! - reference[0]!) : relativeError(rows, ofRows);
        const limit = name === 'logits' ? tolerances.logit : tolerances.intermediate;
        expect.soft(error, `case${i} ${name}`).toBeLessThanOrEqual(limit);
        compared.set(name, Math.max(compared.get(name) ?? 0, error));
      }
    }
    expect([...compared.keys()].toSorted()).toEqual(Object.keys(outputs).toSorted());
  });

  test.each(['f16', 'bf16'] as const)('weights stored as %s', async (dtype) => {
    const model = await load(folder, { dtype });
    const { logits } = await model.visual.run(pairsOf(cases));
    model.close();
    const tensors = readGoldens(fixture(folder));
    logits!.forEach((row, i) => {
      const reference = tensors.get(`${dtype}/case${i}.logits`) as Float32Array;
      expect.soft(Math.abs(row[0]! - reference[0]!), `case${i}`).toBeLessThanOrEqual(tolerances.logit);
    });
  });

  test('the score of a pair depends on the pair alone', async () => {
    const sharing = await load(folder);
    const apart = await load(folder, { sharePrefix: false });
    const pairs = pairsOf(cases);
    const bits = async (model: typeof sharing, list: readonly EnginePair[]) =>
      bitsOf((await model.visual.run(list))['logits']!);
    const together = await bits(sharing, pairs);
    expect(await bits(apart, pairs)).toEqual(together);
    expect(await bits(sharing, pairs)).toEqual(together);
    const alone: string[] = [];
    for (const pair of pairs) alone.push(...(await bits(sharing, [pair])));
    expect(alone).toEqual(together);
    expect((await bits(sharing, pairs.toReversed())).toReversed()).toEqual(together);
    // Cases 2 and 4 have the same ids and another picture.
    expect([...pairs[4]!.ids]).toEqual([...pairs[2]!.ids]);
    expect(together[4]).not.toBe(together[2]);
    sharing.close();
    apart.close();
  });

  test('equal pictures are encoded once, and a prefix with a picture in it is computed once', async () => {
    const sharing = await load(folder);
    const apart = await load(folder, { sharePrefix: false });
    const [both, sameQuery] = [cases[2]!.pair, cases[3]!.pair];
    const list = [both, sameQuery, both];
    const before = sharing.visual.encoded();
    await sharing.visual.run(list);
    expect(sharing.visual.encoded() - before).toBe(2);
    await sharing.visual.run(list);
    expect(sharing.visual.encoded() - before).toBe(2);
    const all = list.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(apart.visual.tokensOf(list)).toBe(all);
    // The query's picture of 64 x 64 pixels is in what the three begin with.
    expect(sharing.visual.tokensOf(list)).toBeLessThanOrEqual(all - 2 * 4);
    // The same ids with another picture share only what stands before it.
    const other = [both, cases[4]!.pair];
    expect(sharing.visual.tokensOf(other)).toBeGreaterThan(2 * both.ids.length - both.ids.indexOf(13) - 1);
    sharing.close();
    apart.close();
  });
});

describe.each(['portable', 'gpu'] as const)('%s kernels, run on whatever adapter is here', (kernels) => {
  test.each(folders)('%s', async (folder) => {
    const cases = readCases(folder);
    const model = await load(folder, { kernels });
    const { logits } = await model.visual.run(pairsOf(cases));
    model.close();
    logits!.forEach((row, i) => {
      const reference = cases[i]!.of('logits')!;
      expect.soft(Math.abs(row[0]! - reference[0]!), `case${i}`).toBeLessThanOrEqual(tolerances.logit);
    });
  });
});
