/** A text of which parts come from a request. */
export interface MarkedText {
  readonly text: string;
  /** Ascending ranges in which nothing is a special token, as `start, end, start, end, …`. */
  readonly plain: readonly number[];
}

/** What stands in one place of a prompt. */
export type Slot = 'instruct' | 'query' | 'document';

/** A prompt's text with places for the request's texts. */
export type Pattern<Place extends string = Slot> = readonly (string | { readonly slot: Place })[];

/** A request's texts for one prompt. */
export interface PromptTexts {
  readonly query: string;
  readonly document: string;
  /** Absent: the pattern has no place for it, or its default stands in it as text. */
  readonly instruct?: string | undefined;
}

/** Puts texts into their places. @param escape marks them as plain */
export function fillPattern<Place extends string>(
  pattern: Pattern<Place>,
  texts: Readonly<Partial<Record<Place, string | undefined>>>,
  escape: boolean,
): MarkedText {
  let text = '';
  const plain: number[] = [];
  for (const part of pattern) {
    if (typeof part === 'string') text += part;
    else {
      const value = texts[part.slot] ?? '';
      if (escape && value !== '') plain.push(text.length, text.length + value.length);
      text += value;
    }
  }
  return { text, plain };
}

/** Finds the places where markers stand in a text. */
export function patternOf(text: string, markers: Readonly<Record<Slot, string>>): Pattern {
  const slots = Object.entries(markers) as [Slot, string][];
  const pattern: (string | { slot: Slot })[] = [];
  for (let at = 0; at < text.length;) {
    const next = slots
      .map(([slot, marker]) => ({ slot, found: text.indexOf(marker, at), length: marker.length }))
      .filter(({ found }) => found >= 0)
      .toSorted((a, b) => a.found - b.found)[0];
    pattern.push(text.slice(at, next?.found ?? text.length));
    if (next === undefined) break;
    pattern.push({ slot: next.slot });
    at = next.found + next.length;
  }
  return pattern;
}
