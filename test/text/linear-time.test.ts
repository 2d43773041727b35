import { expect, test } from 'vitest';

import { formText, tokenizerOf } from './forms.ts';

const published = tokenizerOf(formText('published'));
const ties = tokenizerOf(formText('ties'));

const inputs: [string, (length: number) => string][] = [
  ['one letter', (length) => 'a'.repeat(length)],
  ['spaces', (length) => ' '.repeat(length)],
  ['one giant word', (length) => 'panda'.repeat(length / 5)],
  ['combining marks', (length) => '\u0301'.repeat(length)],
  ['a mark on every letter', (length) => 'e\u0301'.repeat(length / 2)],
  ['unknown characters', (length) => '\ue000'.repeat(length)],
  ['special tokens', (length) => '<mask>'.repeat(length / 6)],
  ['spaces before <mask>', (length) => `${' '.repeat(length - 6)}<mask>`],
  ['beginnings of special tokens', (length) => '<'.repeat(length)],
  ['joined emoji', (length) => '😀\u200d'.repeat(length / 3)],
  ['regional indicators', (length) => '🇩'.repeat(length / 2)],
  ['full-width letters', (length) => 'Ａ'.repeat(length)],
  ['tabs', (length) => 'a\t'.repeat(length / 2)],
  ['ties', (length) => 'ab-='.repeat(length / 4)],
  ['lone surrogates', (length) => '\ud800'.repeat(length)],
];

/** Processor time in ms, best of four: wall time would measure the neighbours. */
function timeEncode(text: string): number {
  let best = Infinity;
  for (let round = 0; round < 4; round += 1) {
    const started = process.cpuUsage();
    published.encode(text);
    ties.encode(text);
    const { user, system } = process.cpuUsage(started);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

// Four times the text is 4 times the work, or 16 times if it were quadratic. Bounds are wide, because machines are shared.
test.each(inputs)('%s take linear time', (_, make) => {
  const size = 60_000;
  timeEncode(make(10_000));
  const once = timeEncode(make(size));
  const fourfold = timeEncode(make(4 * size));
  expect(fourfold).toBeLessThan(2000);
  expect(fourfold / Math.max(once, 15)).toBeLessThan(9);
});
