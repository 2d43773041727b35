import { toByteLevel } from './byte-level.ts';
import { splitQwen } from './qwen-pattern.ts';
import { isWhiteSpace } from './white-space.ts';

/** One step that cuts a normalised text into words; a sequence cuts each word of the step before. */
export type PreTokenizerStep =
  | { readonly kind: 'whitespaceSplit' }
  /** Qwen's regular expression. */
  | { readonly kind: 'qwenSplit' }
  /** Each UTF-8 byte becomes a character. */
  | { readonly kind: 'byteLevel' }
  /** U+0020 becomes the mark, a word gets a mark in front (`prepend`), and is cut before each mark (`split`). */
  | { readonly kind: 'metaspace'; readonly mark: string; readonly prepend: boolean; readonly split: boolean };

/** Cuts a normalised text into words; none of them is empty. */
export function splitWords(text: string, steps: readonly PreTokenizerStep[]): string[] {
  let words = text === '' ? [] : [text];
  for (const step of steps) {
    const cut: string[] = [];
    for (const word of words) {
      switch (step.kind) {
        case 'whitespaceSplit':
          splitAtWhiteSpace(word, cut);
          break;
        case 'qwenSplit':
          splitQwen(word, cut);
          break;
        case 'byteLevel':
          cut.push(toByteLevel(word));
          break;
        case 'metaspace':
          applyMetaspace(word, step, cut);
      }
    }
    words = cut;
  }
  return words;
}

function splitAtWhiteSpace(text: string, words: string[]): void {
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (!isWhiteSpace(text.charCodeAt(at))) continue;
    if (at > start) words.push(text.slice(start, at));
    start = at + 1;
  }
  if (start < text.length) words.push(text.slice(start));
}

function applyMetaspace(text: string, step: PreTokenizerStep & { kind: 'metaspace' }, words: string[]): void {
  const { mark } = step;
  let marked = text.includes(' ') ? text.replaceAll(' ', mark) : text;
  if (step.prepend && !marked.startsWith(mark)) marked = mark + marked;
  if (!step.split) {
    words.push(marked);
    return;
  }
  let start = 0;
  let next = marked.indexOf(mark, mark.length);
  if (!marked.startsWith(mark)) next = marked.indexOf(mark);
  while (next >= 0) {
    words.push(marked.slice(start, next));
    start = next;
    next = marked.indexOf(mark, start + mark.length);
  }
  words.push(marked.slice(start));
}
