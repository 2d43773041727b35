import { expandRuns } from './character-runs.ts';
import { normalizationRuns } from './unicode-tables.ts';

const inert = 0;
/** Decomposes into marks only, e.g. U+0344; higher classes are marks by combining class. */
const marks = 2;
/** Below this code unit nothing changes: the first mark is U+0300. */
const firstActive = 0x300;
/** Runs of marks longer than this are sorted here: ICU sorts them by insertion, in quadratic time. */
const longRun = 32;

let table: Uint8Array | undefined;

/**
 * Unicode's NFC with the characters that the Rust library knows; what came to Unicode later stays as it is, whatever the ICU of
 * the machine makes of it. Linear in the text but for sorting runs of marks.
 */
export function toNfc(text: string): string {
  let at = 0;
  while (at < text.length && text.charCodeAt(at) < firstActive) at += 1;
  if (at === text.length) return text;
  table ??= expandRuns(normalizationRuns);
  const classes = table;
  // The last character before a mark may compose with it.
  at = Math.max(0, at - 1);
  let out = text.slice(0, at);
  let kept = at;
  while (at < text.length) {
    const start = at;
    let markCount = 0;
    let longest = 0;
    while (at < text.length) {
      const point = text.codePointAt(at)!;
      const found = classes[point]!;
      if (found === inert) break;
      at += point > 0xffff ? 2 : 1;
      markCount = found >= marks ? markCount + 1 : 0;
      if (markCount > longest) longest = markCount;
    }
    if (at > start) {
      const run = text.slice(start, at);
      const normalized = (longest > longRun ? sortMarks(run, classes) : run).normalize('NFC');
      if (normalized !== run) {
        out += text.slice(kept, start) + normalized;
        kept = at;
      }
    }
    while (at < text.length) {
      const point = text.codePointAt(at)!;
      if (classes[point] !== inert) break;
      at += point > 0xffff ? 2 : 1;
    }
  }
  return out + text.slice(kept);
}

/** Puts long runs of marks into canonical order, in n·log n. */
function sortMarks(text: string, classes: Uint8Array): string {
  const classOf = (character: string): number => classes[character.codePointAt(0)!]!;
  const parts: string[] = [];
  let run: string[] = [];
  const endRun = (): void => {
    if (run.length > longRun) {
      const decomposed = Array.from(run.map((mark) => mark.normalize('NFD')).join(''));
      parts.push(decomposed.toSorted((a, b) => classOf(a) - classOf(b)).join(''));
    } else parts.push(run.join(''));
    run = [];
  };
  for (const character of text) {
    if (classOf(character) >= marks) run.push(character);
    else {
      endRun();
      parts.push(character);
    }
  }
  endRun();
  return parts.join('');
}
