import { expect, test } from 'vitest';

import { bpeFormText, tokenizerOf } from './forms.ts';

const tokenizers = [tokenizerOf(bpeFormText('qwen3')), tokenizerOf(bpeFormText('merges'))];

const inputs: [string, (length: number) => string][] = [
  ['one letter', (length) => 'a'.repeat(length)],
  ['two letters', (length) => 'ab'.repeat(length / 2)],
  ['one giant word', (length) => 'panda'.repeat(length / 5)],
  ['letters without space', (length) => '字'.repeat(length)],
  ['spaces', (length) => ' '.repeat(length)],
  ['spaces before a word', (length) => `${' '.repeat(length)}a`],
  ['newlines', (length) => '\n'.repeat(length)],
  ['spaces after newlines', (length) => '\n '.repeat(length / 2)],
  ['digits', (length) => '1'.repeat(length)],
  ['signs', (length) => '-='.repeat(length / 2)],
  ['carets', (length) => '^'.repeat(length)],
  ['contractions', (length) => "'s".repeat(length / 2)],
  ['combining marks', (length) => '\u0301'.repeat(length)],
  ['combining marks out of order', (length) => `a${'\u0301\u0323'.repeat(length / 2)}`],
  ['marks that are two marks', (length) => `a${'\u0344\u0323'.repeat(length / 2)}`],
  ['a mark on every letter', (length) => 'e\u0301'.repeat(length / 2)],
  ['Hangul letters', (length) => '\u1100\u1161\u11a8'.repeat(length / 3)],
  ['special tokens', (length) => '<|im_end|>'.repeat(length / 10)],
  ['beginnings of special tokens', (length) => '<|im_end'.repeat(length / 8)],
  ['joined emoji', (length) => '😀\u200d'.repeat(length / 3)],
];

/** Processor time in ms: wall time would measure the neighbours. */
function timeEncode(text: string): number {
  const started = process.cpuUsage();
  for (const tokenizer of tokenizers) tokenizer.encode(text);
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
}

// Four times the text is a bit more than 4 times the work, or 16 times if it were quadratic. Bounds are wide, because machines
// are shared. A collection of garbage or a neighbour only ever adds: the least of several alternating rounds is the work itself.
test.each(inputs)('%s take n·log n time', (_, make) => {
  const [short, long] = [make(30_000), make(120_000)];
  timeEncode(make(6000));
  let once = Infinity;
  let fourfold = Infinity;
  for (let round = 0; round < 4; round++) {
    once = Math.min(once, timeEncode(short));
    fourfold = Math.min(fourfold, timeEncode(long));
  }
  expect(fourfold).toBeLessThan(1000);
  expect(fourfold / Math.max(once, 15)).toBeLessThan(9);
});
