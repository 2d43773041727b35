import { WgrankError } from '../errors.ts';
import { pieceUnits, type LongWork } from './long-work.ts';

/** Tokens that stand for pictures and clips; what a request spells is never one of them. */
export const padTokens = { image: '<|image_pad|>', video: '<|video_pad|>' } as const;
export const visionStart = '<|vision_start|>';
export const visionEnd = '<|vision_end|>';

export interface PadPlace {
  readonly kind: keyof typeof padTokens;
  /** Of the first character, in UTF-16 units. */
  readonly at: number;
}

const pads = Object.values(padTokens);
const anyPad = /<\|(image|video)_pad\|>/g;
/** Expressions of one literal and not `replaceAll`, whose result falls apart into a million strings. */
const eachBar = /\|/g;
const eachPad = pads.map((pad) => ({ pad, spelling: new RegExp(pad.replace(eachBar, '\\|'), 'g') }));

/** Places where a text spells a pad, ascending. */
export function findPads(text: string): PadPlace[] {
  return Array.from(text.matchAll(anyPad), ({ index, 1: kind }) => ({ kind: kind as PadPlace['kind'], at: index }));
}

/** `findPads` for long texts. */
export async function findAllPads(text: string, work: LongWork): Promise<PadPlace[]> {
  const found: PadPlace[][] = [];
  let start = 0;
  for (const piece of piecesOf(text)) {
    if (work.isDue(piece.length)) await work.pause();
    const places = findPads(piece);
    found.push(start === 0 ? places : places.map(({ kind, at }) => ({ kind, at: at + start })));
    start += piece.length;
  }
  return found.flat();
}

/** Ranges `start, end, …` of a text's pads other than the template's; neighbours are one range. */
export async function findTypedPads(text: string, own: readonly PadPlace[], work: LongWork): Promise<number[]> {
  const ranges: number[] = [];
  let start = 0;
  let next = 0;
  for (const piece of piecesOf(text)) {
    if (work.isDue(piece.length)) await work.pause();
    for (const { 0: pad, index } of piece.matchAll(anyPad)) {
      const at = start + index;
      if (own[next]?.at === at) next += 1;
      else if (ranges.at(-1) === at) ranges[ranges.length - 1] = at + pad.length;
      else ranges.push(at, at + pad.length);
    }
    start += piece.length;
  }
  return ranges;
}

export interface HiddenTexts {
  readonly texts: readonly string[];
  /** Stands for a bar; empty when nothing had to be hidden. */
  readonly mark: string;
}

/**
 * UTF-16 units of a prompt's texts that spell pads, at the most: about 200 for each token of the official limit. They are written anew
 * twice, and memory for more at once would hold up the event loop.
 */
const hiddenUnits = 2 ** 21;

/** Characters without a meaning, one of which no text of a prompt holds. */
const [firstMark, lastMark] = [0xe000, 0xf8ff];

/** What is known of a text. */
interface Scan {
  readonly text: string;
  readonly spells: boolean;
  /** Private-use characters that it holds; absent until a mark is looked for. */
  marks?: ReadonlySet<number>;
}

/** A text of fewer units is looked through again as fast as it is found. */
const repeatedUnits = 1024;

/** Hides what the texts of prompts spell. A longer text that several prompts repeat is looked through once. */
export class PadHider {
  readonly #work: LongWork;
  readonly #templateMarks: ReadonlySet<number>;
  readonly #scans = new Map<string, Scan>();

  /** @param templateMarks private-use characters that the template itself may write */
  constructor(templateMarks: ReadonlySet<number>, work: LongWork) {
    this.#templateMarks = templateMarks;
    this.#work = work;
  }

  /**
   * Spells the pads in a prompt's texts with another bar, as well as what could become one where texts meet, so that every pad in a
   * prompt made of these texts is the template's own. Lengths stay.
   * @throws WgrankError `input-invalid` when the texts leave no character for it, or are too long
   */
  async hide(texts: readonly string[]): Promise<HiddenTexts> {
    const work = this.#work;
    const scans: Scan[] = [];
    let units = 0;
    for (const text of texts) {
      if (work.isDue(0)) await work.pause();
      const scan = this.#scans.get(text) ?? (await this.#scan(text));
      if (scan.spells) units += text.length;
      scans.push(scan);
    }
    if (units === 0) return { texts, mark: '' };
    if (units > hiddenUnits)
      throw new WgrankError(
        'input-invalid',
        'prompt',
        `texts of ${units} characters spell ${pads.join(' or ')} or a piece of one (at most ${hiddenUnits} characters of such texts in a ` +
          'query and a document: shorten them, or spell it otherwise)',
      );
    const mark = await this.#freeMark(scans);
    const hidden: string[] = [];
    for (const { text, spells } of scans) hidden.push(spells ? await hideIn(text, mark, work) : text);
    return { texts: hidden, mark };
  }

  async #scan(text: string): Promise<Scan> {
    const scan = { text, spells: text.includes('|') && (await spellsPads(text, this.#work)) };
    if (text.length >= repeatedUnits) this.#scans.set(text, scan);
    return scan;
  }

  async #freeMark(scans: readonly Scan[]): Promise<string> {
    const taken = new Set(this.#templateMarks);
    for (const scan of scans) {
      scan.marks ??= await marksIn(scan.text, this.#work);
      for (const code of scan.marks) taken.add(code);
    }
    for (let code = firstMark; code <= lastMark; code += 1) if (!taken.has(code)) return String.fromCharCode(code);
    throw new WgrankError('input-invalid', 'prompt', 'a text holds every private-use character (U+E000 to U+F8FF)');
  }
}

/** Private-use characters that a text holds. */
export async function marksIn(text: string, work: LongWork): Promise<ReadonlySet<number>> {
  const marks = new Set<number>();
  for (const piece of piecesOf(text)) {
    if (work.isDue(piece.length)) await work.pause();
    for (let i = 0; i < piece.length; i += 1) {
      const code = piece.charCodeAt(i);
      if (code >= firstMark && code <= lastMark) marks.add(code);
    }
  }
  return marks.size === 0 ? noMarks : marks;
}

const noMarks: ReadonlySet<number> = new Set();

/** The texts' bars again. */
export async function showBars(text: string, mark: string, work: LongWork): Promise<string> {
  if (mark === '') return text;
  const eachMark = new RegExp(mark, 'g');
  return mapPieces(text, work, (piece) => piece.replace(eachMark, '|'));
}

async function spellsPads(text: string, work: LongWork): Promise<boolean> {
  const edges = edgesOf(text);
  if (edges.head > 0 || edges.tail > 0) return true;
  for (const piece of piecesOf(text)) {
    if (work.isDue(piece.length)) await work.pause();
    if (pads.some((pad) => piece.includes(pad))) return true;
  }
  return false;
}

async function hideIn(text: string, mark: string, work: LongWork): Promise<string> {
  const { head, tail } = edgesOf(text);
  const end = Math.max(head, text.length - tail);
  const bars = (part: string): string => part.replace(eachBar, mark);
  const inner = await mapPieces(text.slice(head, end), work, (piece) =>
    eachPad.reduce((hidden, { pad, spelling }) => hidden.replace(spelling, bars(pad)), piece),
  );
  return bars(text.slice(0, head)) + inner + bars(text.slice(end));
}

async function mapPieces(text: string, work: LongWork, map: (piece: string) => string): Promise<string> {
  const mapped: string[] = [];
  for (const piece of piecesOf(text)) {
    if (work.isDue(piece.length)) await work.pause();
    mapped.push(map(piece));
  }
  if (mapped.length > 1) await work.pause();
  return mapped.join('');
}

/** Pieces of a text that end within no pad. */
function* piecesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    const end = at + pieceUnits < text.length ? endBeforePad(text, at + pieceUnits) : text.length;
    yield text.slice(at, end);
    at = end;
  }
}

function endBeforePad(text: string, end: number): number {
  for (const pad of pads)
    for (let inside = 1; inside < pad.length; inside += 1) if (text.startsWith(pad, end - inside)) return end - inside;
  return end;
}

/** Beginnings and ends of the pads, longest first. */
const fragments = pads.flatMap((pad) =>
  Array.from({ length: pad.length - 1 }, (_, i) => ({ end: pad.slice(i + 1), beginning: pad.slice(0, -i - 1) })),
);

/** Lengths of a pad's end at the text's beginning and of a pad's beginning at its end; a text within a pad is all beginning. */
function edgesOf(text: string): { head: number; tail: number } {
  if (pads.some((pad) => pad.includes(text))) return { head: text.length, tail: 0 };
  const edges = { head: 0, tail: 0 };
  for (const { end, beginning } of fragments) {
    if (text.startsWith(end)) edges.head = Math.max(edges.head, end.length);
    if (text.endsWith(beginning)) edges.tail = Math.max(edges.tail, beginning.length);
  }
  return edges;
}
