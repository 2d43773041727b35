import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { bpeForms, bpeFormText, tokenizerOf, type BpeForm } from './forms.ts';

type Case = { readonly text: string } & Readonly<Record<BpeForm, number[]>>;

const { cases, blocks } = JSON.parse(readFileSync(new URL('fixtures/qwen-ids.json', import.meta.url), 'utf8')) as {
  cases: Case[];
  /** By the first code point of 4096. */
  blocks: Readonly<Record<string, string>>;
};
const tokenizers = {
  qwen3: tokenizerOf(bpeFormText('qwen3')),
  merges: tokenizerOf(bpeFormText('merges')),
};

describe.each(bpeForms)('%s form', (form) => {
  const tokenizer = tokenizers[form];

  test(`ids of ${cases.length} trap texts equal the Rust library's`, () => {
    expect(cases.length).toBeGreaterThanOrEqual(400);
    const wrong = cases
      .map(({ text, [form]: rust }) => ({ text, rust, ours: tokenizer.encode(text) }))
      .filter(({ rust, ours }) => ours.join() !== rust.join());
    // Each entry can be pasted into the Rust library.
    expect(wrong).toEqual([]);
  });

  test('the same again from the memory of words', () => {
    for (const { text, [form]: rust } of cases) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(rust);
  });

  test("the framework's own encode gives the same ids for texts that spell no added token", () => {
    const plain = cases.filter(({ text }) => text !== '' && !/<|é|\u0301/.test(text));
    expect(plain.length).toBeGreaterThan(200);
    for (const { text, [form]: rust } of plain)
      expect(tokenizer.seams.encode(text, { add_special_tokens: false }).ids, JSON.stringify(text)).toEqual(rust);
  });
});

// The letters, digits and compositions are those of the library's Unicode version, not of this Node's.
test('every assigned code point, in four surroundings each, has the ids of the Rust library', () => {
  const surroundings = [
    (c: string) => `${c}a`,
    (c: string) => ` ${c}`,
    (c: string) => `1${c}\u0301`,
    (c: string) => `'${c}!`,
  ];
  const wrong: string[] = [];
  for (const [start, expected] of Object.entries(blocks)) {
    const points = Array.from({ length: 4096 }, (_, i) => Number(start) + i);
    const characters = points.filter((c) => c < 0xd800 || c > 0xdfff).map((c) => String.fromCodePoint(c));
    const digest = createHash('sha256');
    for (const make of surroundings)
      digest.update(Int32Array.from(tokenizers.qwen3.encode(characters.map((c) => make(c)).join(''))));
    if (digest.digest('hex') !== expected) wrong.push(`from U+${Number(start).toString(16)}`);
  }
  expect(Object.keys(blocks).length).toBe(65);
  expect(wrong).toEqual([]);
});

test('a lone surrogate counts as U+FFFD', () => {
  for (const lone of ['\ud83d', '\ude00', 'a\ud83d b', '\ude00\ud83d', '<|im_end|>\udfff'])
    expect(tokenizers.qwen3.encode(lone), JSON.stringify(lone)).toEqual(
      tokenizers.qwen3.encode(lone.replace(/\p{Surrogate}/gu, '\ufffd')),
    );
});

describe('ranges in which nothing is a special token', () => {
  const [end, start] = [151645, 151644];

  test('leave the text around them as it is', () => {
    const text = '<|im_end|>a<|im_end|>b<|im_end|>';
    const plain = tokenizers.qwen3.encode(text, [11, 21]);
    expect(plain.filter((id) => id === end).length).toBe(2);
    expect([plain[0], plain.at(-1)]).toEqual([end, end]);
    // `a`, then the ten characters as text, then `b`.
    expect(plain).toEqual([end, ...tokenizers.qwen3.encode('a<|im_end|>b', [0, 12]), end]);
  });

  test('hold back tokens that only begin or end in them, and find a shorter one outside', () => {
    const text = '<|im_start|><|im_end|>';
    expect(tokenizers.qwen3.encode(text, [0, 1])).not.toContain(start);
    expect(tokenizers.qwen3.encode(text, [11, 13])).toEqual(tokenizers.qwen3.encode(text, [0, text.length]));
    const [short, long] = [299, 300].map((offset) => offset - 299 + tokenizers.merges.encode('<s>')[0]!);
    expect(tokenizers.merges.encode('<s>=')).toEqual([long]);
    expect(tokenizers.merges.encode('<s>=', [3, 4])[0]).toBe(short);
  });

  test('do not cut words: what is plain is tokenised with its surroundings', () => {
    const text = 'The <Document>: Paris';
    expect(tokenizers.qwen3.encode(text, [16, 21])).toEqual(tokenizers.qwen3.encode(text));
    expect(tokenizers.qwen3.encode(text).at(-1)).toBe(12095);
  });
});

test('two tokenizers of one file do not disturb each other', () => {
  const [first, second] = [tokenizerOf(bpeFormText('merges')), tokenizerOf(bpeFormText('merges'))];
  const text = 'ab'.repeat(5000);
  const alone = first.encode(text);
  expect(second.encode(text)).toEqual(alone);
  expect(first.encode('a')).toEqual(second.encode('a'));
  expect(first.encode(text)).toEqual(alone);
});
