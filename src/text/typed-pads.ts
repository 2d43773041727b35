import { WgrankError } from '../errors.ts';

/** Tokens that stand for pictures and clips; what a request spells is never one of them. */
export const padTokens = { image: '<|image_pad|>', video: '<|video_pad|>' } as const;
export const visionStart = '<|vision_start|>';
export const visionEnd = '<|vision_end|>';

export interface PadPlace {
  readonly kind: keyof typeof padTokens;
  /** Of the first character, in UTF-16 units. */
  readonly at: number;
}

/** Places where a text spells a pad, ascending. */
export function findPads(text: string): PadPlace[] {
  const places: PadPlace[] = [];
  for (const kind of ['image', 'video'] as const)
    for (let at = text.indexOf(padTokens[kind]); at >= 0; at = text.indexOf(padTokens[kind], at + 1))
      places.push({ kind, at });
  return places.toSorted((a, b) => a.at - b.at);
}

export interface HiddenTexts {
  readonly texts: readonly string[];
  /** Stands for a bar; empty when nothing had to be hidden. */
  readonly mark: string;
}

/** Characters without a meaning, one of which no text of a prompt holds. */
const [firstMark, lastMark] = [0xe000, 0xf8ff];

/**
 * Spells the pads in a request's texts with another bar, as well as what could become one where texts meet, so that every pad in a
 * prompt made of these texts is the template's own. Lengths stay.
 * @param others texts that must not hold the mark either
 */
export function hidePads(texts: readonly string[], others: readonly string[]): HiddenTexts {
  const spelt = texts.map((text) => spellsPads(text));
  if (!spelt.includes(true)) return { texts, mark: '' };
  const all = [...texts, ...others];
  for (let code = firstMark; code <= lastMark; code += 1) {
    const mark = String.fromCharCode(code);
    if (all.some((text) => text.includes(mark))) continue;
    return { texts: texts.map((text, i) => (spelt[i] ? hide(text, mark) : text)), mark };
  }
  throw new WgrankError('input-invalid', 'prompt', 'a text holds every private-use character (U+E000 to U+F8FF)');
}

/** The texts' bars again. */
export function showBars(text: string, mark: string): string {
  return mark === '' ? text : text.replaceAll(mark, '|');
}

const pads = Object.values(padTokens);

function spellsPads(text: string): boolean {
  if (!text.includes('|')) return false;
  const edges = edgesOf(text);
  return edges.head > 0 || edges.tail > 0 || pads.some((pad) => text.includes(pad));
}

function hide(text: string, mark: string): string {
  const { head, tail } = edgesOf(text);
  const end = Math.max(head, text.length - tail);
  const bars = (part: string): string => part.replaceAll('|', mark);
  const inner = text.slice(head, end).replace(/<\|(?:image|video)_pad\|>/g, bars);
  return bars(text.slice(0, head)) + inner + bars(text.slice(end));
}

/** Lengths of a pad's end at the text's beginning and of a pad's beginning at its end; a text within a pad is all beginning. */
function edgesOf(text: string): { head: number; tail: number } {
  const edges = { head: 0, tail: 0 };
  for (const pad of pads) {
    if (pad.includes(text)) return { head: text.length, tail: 0 };
    for (let length = pad.length - 1; length > 0; length -= 1) {
      if (text.startsWith(pad.slice(-length))) edges.head = Math.max(edges.head, length);
      if (text.endsWith(pad.slice(0, length))) edges.tail = Math.max(edges.tail, length);
    }
  }
  return edges;
}
