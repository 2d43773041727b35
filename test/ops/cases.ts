import { afterAll, describe, expect, it } from 'vitest';

/** What a case is made of: strings and numbers, so that it survives a shell. */
export type Case = Readonly<Record<string, string | number | readonly number[]>>;

const replay = process.env['OP_CASE'] === undefined ? undefined : (JSON.parse(process.env['OP_CASE']) as Case);

/**
 * One test per group of cases. A failure names its case, and the line that runs it alone:
 * `OP_CASE='{"check":"sizes","R":9}' npx vitest run test/ops/<op>.test.ts`.
 */
export function describeCases<C extends Case>(
  op: string,
  check: string,
  cases: readonly C[],
  group: (one: C) => string,
  run: (one: C) => Promise<void> | void,
): void {
  const chosen = replay === undefined ? cases : replay['check'] === check ? [replay as unknown as C] : [];
  if (chosen.length === 0) return;
  describe(check, () => {
    for (const title of new Set(chosen.map(group))) {
      it(title, async () => {
        for (const one of chosen) {
          if (group(one) !== title) continue;
          try {
            await run(one);
          } catch (cause) {
            const line = `OP_CASE='${JSON.stringify({ ...one, check })}' npx vitest run test/ops/${op}.test.ts`;
            throw new Error(`${(cause as Error).message}\n  replay: ${line}`, { cause });
          }
        }
      });
    }
  });
}

const worst = new Map<string, { ratio: number; error: number; bound: number }>();

/** Every element within `bound` of the reference; a NaN is never close. @param what names the row of the error summary */
export function expectClose(
  what: string,
  actual: Float32Array,
  expected: ArrayLike<number>,
  bound: number | ((i: number) => number),
): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) {
    const limit = typeof bound === 'number' ? bound : bound(i);
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= limit)) {
      throw new Error(`element ${i} is ${actual[i]}, not ${expected[i]} (error ${error}, allowed ${limit})`);
    }
    const ratio = limit === 0 ? 0 : error / limit;
    if (ratio >= (worst.get(what)?.ratio ?? 0)) worst.set(what, { ratio, error, bound: limit });
  }
}

/** The same bits, which tells -0 from 0 and holds for NaN. */
export function expectSameBits(actual: Float32Array, expected: Float32Array): void {
  const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);
  const [a, b] = [bits(actual), bits(expected)];
  expect(a.length).toBe(b.length);
  const different = a.findIndex((word, i) => word !== b[i]);
  if (different >= 0) {
    throw new Error(`element ${different} is ${actual[different]}, not the same bits as ${expected[different]}`);
  }
}

// OP_ERRORS=1 prints the largest error of each kind beside its bound: the figures in the kernels' headers come from here.
afterAll(() => {
  if (!process.env['OP_ERRORS']) return;
  for (const [what, { ratio, error, bound }] of worst) {
    console.log(
      `${what}: largest error ${error.toExponential(2)}, ${(100 * ratio).toFixed(0)} % of ${bound.toExponential(2)}`,
    );
  }
});
