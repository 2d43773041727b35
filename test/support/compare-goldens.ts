import { expect } from 'vitest';
import { fixture, loadGoldenModel, readGoldens, type LoadOptions } from './golden-model.ts';

export interface Tolerances {
  /** Relative to the tensor's largest value. */
  readonly intermediate: number;
  /** Absolute; relative for logits beyond 100, which only outliers make. */
  readonly logit: number;
}

/** Which token of a sequence is scored: the only one that the last layer computes. */
type Scored = 'first' | 'last';

/** The oracle's sequences and tensors of one fixture. */
export function golden(folder: string) {
  const tensors = readGoldens(fixture(folder));
  const ids: Int32Array[] = [];
  for (let i = 0; tensors.has(`seq${i}.ids`); i++) ids.push(tensors.get(`seq${i}.ids`) as Int32Array);
  return { ids, of: (name: string) => tensors.get(name) as Float32Array | undefined };
}

/** Runs a fixture in one batch and compares every output with the oracle's set `prefix`. @returns the largest error of each */
export async function compareWithGoldens(
  folder: string,
  prefix: string,
  options: LoadOptions,
  tolerances: Tolerances,
  scored: Scored,
) {
  const { ids, of } = golden(folder);
  const model = await loadGoldenModel(fixture(folder), { taps: true, ...options });
  const outputs = await model.run(ids);
  model.close();
  const compared: Record<string, number> = {};
  for (const [output, perSequence] of Object.entries(outputs)) {
    for (const [i, rows] of perSequence.entries()) {
      const reference = of(`${prefix}seq${i}.${output}`);
      if (!reference) continue;
      const isLogit = output === 'logits';
      const error = isLogit
        ? logitError(rows[0]!, reference[0]!)
        : relativeError(rows, rowsOf(reference, rows.length, scored));
      expect
        .soft(error, `${folder} ${prefix}seq${i}.${output} ${JSON.stringify(options)}`)
        .toBeLessThanOrEqual(isLogit ? tolerances.logit : tolerances.intermediate);
      compared[output] = Math.max(compared[output] ?? 0, error);
    }
  }
  // The rounded sets hold the last layer and the logit only.
  if (prefix === '') expect(Object.keys(compared).toSorted()).toEqual(Object.keys(outputs).toSorted());
  return compared;
}

/** Bit patterns of the first value of each sequence. */
export const bitsOf = (rows: readonly Float32Array[]) =>
  rows.map((row) => new Uint32Array(row.slice().buffer)[0]!.toString(16));

/** The rows that we compute too. */
function rowsOf(reference: Float32Array, length: number, scored: Scored): Float32Array {
  return scored === 'first' ? reference.subarray(0, length) : reference.subarray(reference.length - length);
}

function logitError(logit: number, reference: number): number {
  return Math.abs(logit - reference) / Math.max(1, Math.abs(reference) / 100);
}

/** max|Δ| / max|ref|; NaN stays NaN. */
export function relativeError(rows: Float32Array, reference: Float32Array): number {
  expect(rows.length).toBe(reference.length);
  let difference = 0;
  let largest = 0;
  rows.forEach((value, i) => {
    difference = Math.max(difference, Math.abs(value - reference[i]!)); // a NaN stays
    largest = Math.max(largest, Math.abs(reference[i]!));
  });
  return difference / largest;
}
