import { expect, test } from 'vitest';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { Random } from '../fuzz/random.ts';
import { showFigures } from '../support/figures.ts';
import { tiered } from '../support/tier.ts';

const samples = tiered(20_000, 100_000);
/** What dudect calls a leak for certain: |t| of Welch's test. source: https://eprint.iacr.org/2016/1123 */
const limit = 4.5;

const key = `sk-${'a'.repeat(40)}`;
/** Right up to the last letter, and wrong from the first one. */
const near = `${key.slice(0, -1)}b`;
const far = `zz-${'q'.repeat(40)}`;

function meanAndVariance(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, share: variance / values.length };
}

test(`the time of a comparison tells nothing of the key: ${samples} samples`, () => {
  const keys = new ApiKeys([key]);
  for (let i = 0; i < 20_000; i++) keys.find(i % 2 === 0 ? near : far);
  // In random order, so that whatever else the machine does meets both alike.
  const random = new Random(20_260_811);
  const order = Array.from({ length: samples }, () => random.chance(50));
  const taken = order.map((isNear) => {
    const startedAt = process.hrtime.bigint();
    keys.find(isNear ? near : far);
    return Number(process.hrtime.bigint() - startedAt);
  });
  // The slowest twentieth is garbage collection and other processes.
  const cut = taken.toSorted((a, b) => a - b)[Math.floor(0.95 * samples)]!;
  const timesOf = (wanted: boolean) => taken.filter((ns, i) => order[i] === wanted && ns <= cut);
  const [one, other] = [meanAndVariance(timesOf(true)), meanAndVariance(timesOf(false))];
  const t = (one.mean - other.mean) / Math.sqrt(one.share + other.share);
  showFigures({ samples, t, nearNs: one.mean, farNs: other.mean });
  expect(Math.abs(t)).toBeLessThan(limit);
});
