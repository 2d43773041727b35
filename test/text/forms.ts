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

/** Reads a tokenizer.json text. */
export function tokenizerOf(text: string): ExactTokenizer {
  return new ExactTokenizer(readTokenizerJson(new TextEncoder().encode(text), []).parts);
}
