import { graphemeClass as g } from './grapheme-class.ts';
import { graphemeRuns } from './grapheme-classes.ts';

const blockBits = 7;
const blockSize = 1 << blockBits;
const firstSyllable = 0xac00;
const lastSyllable = 0xd7a3;
const syllablesPerVowel = 28;

/** Two-stage table: block of a code point, then its class inside the block. Equal blocks are stored once. */
const { blockOf, classes } = expandRuns(graphemeRuns);

function expandRuns(runs: string): { blockOf: Uint16Array; classes: Uint8Array } {
  const flat = new Uint8Array(0x110000);
  let point = 0;
  for (const [, length, letter] of runs.matchAll(/([0-9a-z]+)([A-P])/g)) {
    const end = point + parseInt(length!, 36);
    flat.fill(letter!.charCodeAt(0) - 65, point, end);
    point = end;
  }
  const blockOf = new Uint16Array(flat.length >> blockBits);
  const seen = new Map<string, number>();
  const kept: Uint8Array[] = [];
  for (let block = 0; block < blockOf.length; block += 1) {
    const content = flat.subarray(block << blockBits, (block + 1) << blockBits);
    const key = content.join('');
    let index = seen.get(key);
    if (index === undefined) {
      index = kept.push(content) - 1;
      seen.set(key, index);
    }
    blockOf[block] = index;
  }
  const classes = new Uint8Array(kept.length << blockBits);
  kept.forEach((content, index) => classes.set(content, index << blockBits));
  return { blockOf, classes };
}

/** Class of a code point as `graphemeClass`, Unicode 17.0. */
export function classOf(point: number): number {
  if (point >= firstSyllable && point <= lastSyllable)
    return (point - firstSyllable) % syllablesPerVowel === 0 ? g.openSyllable : g.closedSyllable;
  return classes[(blockOf[point >> blockBits]! << blockBits) | (point & (blockSize - 1))]!;
}

/**
 * End of the extended grapheme cluster that begins at `start`, in UTF-16 units. `start` must be a cluster boundary.
 * source: Unicode Standard Annex 29, revision for Unicode 17.0, rules GB3 to GB999.
 */
export function clusterEnd(text: string, start: number): number {
  let point = text.codePointAt(start)!;
  let end = start + (point > 0xffff ? 2 : 1);
  let before = classOf(point);
  // What the rules with a longer memory need: GB9c (a consonant, and whether a linker followed), GB11, GB12 and GB13.
  let conjunct = before === g.consonant;
  let linked = false;
  let pictured = before === g.pictographic;
  let regionals = before === g.regional ? 1 : 0;
  while (end < text.length) {
    const first = point;
    point = text.codePointAt(end)!;
    const after = classOf(point);
    const joined =
      joinsPair(before, after, first, point) ||
      (after === g.consonant && conjunct && linked) ||
      (before === g.zwj && after === g.pictographic && pictured) ||
      (before === g.regional && after === g.regional && regionals % 2 === 1);
    if (!joined) break;
    end += point > 0xffff ? 2 : 1;
    const inConjunct = after === g.linker || after === g.conjunctExtend || after === g.zwj;
    linked = inConjunct && (linked || after === g.linker);
    conjunct = after === g.consonant || (inConjunct && conjunct);
    const stretches = after === g.extend || after === g.conjunctExtend || after === g.linker;
    // A second ZWJ ends a picture sequence: GB11 is picture Extend* ZWJ picture.
    pictured = after === g.pictographic || (pictured && before !== g.zwj && (stretches || after === g.zwj));
    regionals = after === g.regional ? regionals + 1 : 0;
    before = after;
  }
  return end;
}

/** Rules that two neighbours decide alone: GB3 to GB9b. */
function joinsPair(before: number, after: number, first: number, second: number): boolean {
  if (before === g.control) return first === 0x0d && second === 0x0a;
  switch (after) {
    case g.control:
      return false;
    case g.extend:
    case g.conjunctExtend:
    case g.linker:
    case g.zwj:
    case g.spacingMark:
      return true;
    case g.leading:
    case g.openSyllable:
    case g.closedSyllable:
      return before === g.leading || before === g.prepend;
    case g.vowel:
      return before === g.leading || before === g.openSyllable || before === g.vowel || before === g.prepend;
    case g.trailing:
      return before >= g.vowel || before === g.prepend;
    default:
      return before === g.prepend;
  }
}
