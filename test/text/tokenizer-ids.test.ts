import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { forms, formText, tokenizerOf, type Form } from './forms.ts';

type Case = { readonly text: string } & Readonly<Record<Form, number[]>>;

const { cases } = JSON.parse(readFileSync(new URL('fixtures/tokenizer-ids.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

describe.each(forms)('%s form', (form) => {
  const tokenizer = tokenizerOf(formText(form));

  test(`ids of ${cases.length} trap texts equal the Rust library's`, () => {
    expect(cases.length).toBeGreaterThanOrEqual(300);
    const wrong = cases
      .map(({ text, [form]: rust }) => ({ text, rust, ours: tokenizer.encode(text) }))
      .filter(({ rust, ours }) => ours.join() !== rust.join());
    // Each entry can be pasted into the Rust library.
    expect(wrong).toEqual([]);
  });

  test("the framework's own encode gives the same ids for texts that spell no added token", () => {
    // Its text loop takes a normalised ＜s＞ for the special token.
    const plain = cases.filter(({ text }) => !/[<＜\u2002\u2003]|a b/.test(text));
    expect(plain.length).toBeGreaterThan(300);
    for (const { text, [form]: rust } of plain)
      expect(tokenizer.seams.encode(text, { add_special_tokens: false }).ids, JSON.stringify(text)).toEqual(rust);
  });
});

test('a lone surrogate counts as U+FFFD', () => {
  const tokenizer = tokenizerOf(formText('published'));
  for (const lone of ['\ud83d', '\ude00', 'a\ud83d b', '\ude00\ud83d', '<mask>\udfff'])
    expect(tokenizer.encode(lone), JSON.stringify(lone)).toEqual(
      tokenizer.encode(lone.replace(/\p{Surrogate}/gu, '\ufffd')),
    );
});

test('two tokenizers of one file do not disturb each other', () => {
  const [first, second] = [tokenizerOf(formText('ties')), tokenizerOf(formText('ties'))];
  const text = 'ab'.repeat(3000);
  const alone = first.encode(text);
  expect(second.encode(text)).toEqual(alone);
  expect(first.encode('a')).toEqual(second.encode('a'));
  expect(first.encode(text)).toEqual(alone);
});
