/**
 * A JSON value on its way between threads: its build without the longer texts, then these, a piece at a time. What takes a message of
 * 16 MB out of its clone holds the event loop for as long as it copies.
 */
export interface TakenApart {
  readonly build: JsonBuild;
  /** Texts that are missing, in the order of their places; a text that is longer than a piece is one alone. */
  readonly pieces: readonly (readonly string[])[];
}

export interface JsonBuild {
  /** The value is `root.value`. */
  readonly root: { value: unknown };
  /** Objects and lists that miss a text, and under which key: one entry per text. A clone keeps which object is which. */
  readonly holders: readonly object[];
  readonly keys: readonly (string | number)[];
}

/** UTF-16 units of texts that travel at once: about 2 ms where memory is slow. */
const pieceUnits = 2 ** 18;
const pieceTexts = 2048;
/** Shorter texts stay in the build. */
const shortUnits = 128;

/** Takes the longer texts out of a value that JSON.parse made; it is changed. */
export function takeApart(value: unknown): TakenApart {
  const root = { value };
  const holders: object[] = [];
  const keys: (string | number)[] = [];
  const pieces: string[][] = [];
  let units = Infinity;
  const take = (holder: object, key: string | number, text: string): void => {
    if (units + text.length > pieceUnits || pieces.at(-1)!.length >= pieceTexts) {
      pieces.push([]);
      units = 0;
    }
    units += text.length;
    pieces.at(-1)!.push(text);
    holders.push(holder);
    keys.push(key);
    setOwn(holder, key, '');
  };
  const waiting: object[] = [root];
  for (let holder = waiting.pop(); holder !== undefined; holder = waiting.pop()) {
    for (const [key, held] of entriesOf(holder)) {
      if (typeof held === 'string' && held.length > shortUnits) take(holder, key, held);
      else if (typeof held === 'object' && held !== null) waiting.push(held);
    }
  }
  return { build: { root, holders, keys }, pieces };
}

/** Puts missing texts back. @param first how many were put back before */
export function putBack({ holders, keys }: JsonBuild, first: number, texts: readonly string[]): void {
  for (const [i, text] of texts.entries()) setOwn(holders[first + i]!, keys[first + i]!, text);
}

function entriesOf(holder: object): Iterable<[string | number, unknown]> {
  return Array.isArray(holder) ? holder.entries() : Object.entries(holder);
}

/** Never through a setter: JSON.parse makes `__proto__` a key like any other. */
function setOwn(holder: object, key: string | number, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
  else (holder as Record<string | number, unknown>)[key] = value;
}
