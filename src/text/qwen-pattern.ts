import { expandRuns } from './character-runs.ts';
import { letterNumberRuns } from './unicode-tables.ts';
import { isWhiteSpace } from './white-space.ts';

/** The pattern of Qwen2, Qwen2.5 and Qwen3, as their tokenizer.json spells it. */
export const qwenPattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const other = 0;
const letter = 1;
const number = 2;
const space = 3;

let table: Uint8Array | undefined;

function characterClasses(): Uint8Array {
  if (table !== undefined) return table;
  table = expandRuns(letterNumberRuns);
  for (let unit = 0; unit < 0x10000; unit += 1) if (isWhiteSpace(unit)) table[unit] = space;
  return table;
}

const apostrophe = 0x27;

/** Length of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` in any case at `at`, or 0. */
function contractionLength(text: string, at: number): number {
  switch (text.charCodeAt(at + 1) | 0x20) {
    case 0x73:
    case 0x74:
    case 0x6d:
    case 0x64:
      return 2;
    case 0x72:
    case 0x76:
      return (text.charCodeAt(at + 2) | 0x20) === 0x65 ? 3 : 0;
    case 0x6c:
      return (text.charCodeAt(at + 2) | 0x20) === 0x6c ? 3 : 0;
    default:
      // The library folds the long s too.
      return text.charCodeAt(at + 1) === 0x17f ? 2 : 0;
  }
}

const isNewline = (unit: number): boolean => unit === 0x0a || unit === 0x0d;

/**
 * Cuts a text as matching `qwenPattern` from its start does; the words joined are the text. Linear: no place is looked at more
 * than a few times.
 */
export function splitQwen(text: string, words: string[]): void {
  const classes = characterClasses();
  const classAt = (at: number): number => classes[text.codePointAt(at)!]!;
  const after = (at: number): number => at + ((text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1);
  const endOfClass = (from: number, wanted: number): number => {
    let at = from;
    while (at < text.length && classAt(at) === wanted) at = after(at);
    return at;
  };
  for (let start = 0; start < text.length;) {
    const end = wordEnd(start);
    words.push(text.slice(start, end));
    start = end;
  }

  function wordEnd(start: number): number {
    const unit = text.charCodeAt(start);
    const contraction = unit === apostrophe ? contractionLength(text, start) : 0;
    if (contraction > 0) return start + contraction;
    const found = classAt(start);
    if (found === letter) return endOfClass(start, letter);
    const next = after(start);
    if (found === number) return next;
    const nextClass = next < text.length ? classAt(next) : -1;
    if (nextClass === letter && !isNewline(unit)) return endOfClass(next, letter);
    if (found === other || (unit === 0x20 && nextClass === other)) {
      let end = endOfClass(found === other ? start : next, other);
      while (end < text.length && isNewline(text.charCodeAt(end))) end += 1;
      return end;
    }
    return whiteSpaceEnd(start);
  }

  /** A run of white space: up to its last newline, else all but its last character when a word follows. */
  function whiteSpaceEnd(start: number): number {
    const end = endOfClass(start, space);
    for (let at = end; at > start; at -= 1) if (isNewline(text.charCodeAt(at - 1))) return at;
    return end === text.length || end === start + 1 ? end : end - 1;
  }
}
