import { CharsmapMatcher, utf8Length } from './charsmap.ts';
import type { Charsmap } from './charsmap.ts';
import { clusterEnd } from './grapheme.ts';
import { toNfc } from './nfc.ts';
import { isWhiteSpace } from './white-space.ts';

/** One step of a normaliser; a sequence applies its steps in order. */
export type NormalizerStep =
  | { readonly kind: 'precompiled'; readonly charsmap: Charsmap }
  | { readonly kind: 'nfc' }
  | { readonly kind: 'strip'; readonly left: boolean; readonly right: boolean }
  | { readonly kind: 'replace'; readonly literal: string; readonly content: string }
  /** Replaces each run of two or more U+0020. */
  | { readonly kind: 'replaceSpaces'; readonly content: string };

/** Turns a text into the form that the vocabulary was trained on. */
export type NormalizeText = (text: string) => string;

/** Joins the steps into one function. Each step takes linear time. */
export function composeNormalizer(steps: readonly NormalizerStep[]): NormalizeText {
  const functions = steps.map(compileStep);
  return (text) => functions.reduce((normalized, step) => step(normalized), text);
}

function compileStep(step: NormalizerStep): NormalizeText {
  switch (step.kind) {
    case 'precompiled': {
      const matcher = new CharsmapMatcher(step.charsmap);
      return (text) => applyCharsmap(text, matcher);
    }
    case 'nfc':
      return toNfc;
    case 'strip':
      return (text) => strip(text, step.left, step.right);
    // Functions as replacements, because `$` in a replacement string has a meaning.
    case 'replace':
      return (text) => text.replaceAll(step.literal, () => step.content);
    case 'replaceSpaces':
      return (text) => text.replace(/ {2,}/g, () => step.content);
  }
}

/** Clusters of this many UTF-8 bytes or more are never looked up as a whole. */
const wholeLimitBytes = 6;
/** Below U+0300 no character extends a cluster, so two neighbours are two clusters (CR LF apart). */
const firstExtender = 0x300;

/**
 * Replaces by the charsmap: a grapheme cluster shorter than 6 bytes becomes the replacement of its shortest matching prefix
 * (the rest of it is dropped); any other cluster is replaced character by character.
 * source: huggingface/tokenizers `normalizers/precompiled.rs` with `spm_precompiled` 0.1.4
 */
function applyCharsmap(text: string, matcher: CharsmapMatcher): string {
  let out = '';
  let keptFrom = 0;
  for (let at = 0; at < text.length;) {
    const unit = text.charCodeAt(at);
    const next = at + 1 < text.length ? text.charCodeAt(at + 1) : 0;
    const end = unit < firstExtender && next < firstExtender && unit !== 0x0d ? at + 1 : clusterEnd(text, at);
    if (end === at + 1) {
      const replacement = matcher.replaceUnit(unit);
      if (replacement !== undefined) {
        out += text.slice(keptFrom, at) + replacement;
        keptFrom = end;
      }
      at = end;
      continue;
    }
    const whole = isShort(text, at, end) ? matcher.replaceShortest(text, at, end) : undefined;
    if (whole !== undefined) {
      out += text.slice(keptFrom, at) + whole;
      keptFrom = end;
      at = end;
      continue;
    }
    while (at < end) {
      const after = at + (text.codePointAt(at)! > 0xffff ? 2 : 1);
      const replacement = matcher.replaceShortest(text, at, after);
      if (replacement !== undefined) {
        out += text.slice(keptFrom, at) + replacement;
        keptFrom = after;
      }
      at = after;
    }
  }
  return keptFrom === 0 ? text : out + text.slice(keptFrom);
}

function isShort(text: string, start: number, end: number): boolean {
  let bytes = 0;
  for (let i = start; i < end;) {
    const point = text.codePointAt(i)!;
    bytes += utf8Length(point);
    if (bytes >= wholeLimitBytes) return false;
    i += point > 0xffff ? 2 : 1;
  }
  return true;
}

function strip(text: string, left: boolean, right: boolean): string {
  let start = 0;
  let end = text.length;
  if (left) while (start < end && isWhiteSpace(text.charCodeAt(start))) start += 1;
  if (right) while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
