import { JsonScanner, quote } from './json-scan.ts';

export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/** Objects and arrays inside each other; files of models stay below ten. */
export const maxJsonDepth = 64;

/**
 * Parses a JSON text strictly: UTF-8 without byte order mark, no duplicate keys, no lone surrogates, no numbers that overflow a
 * double, at most `maxJsonDepth` levels. Objects become `Map`s, so no key can reach a prototype.
 * @param refuse makes the error from what is wrong and where
 */
export function parseJson(bytes: Uint8Array, refuse: (detail: string) => Error): JsonValue {
  const scan = new JsonScanner(bytes, refuse);
  const value = readJsonValue(scan, 'a value', maxJsonDepth);
  scan.expectEnd();
  return value;
}

/** Reads the value that comes next, nested at most `depth` levels. */
export function readJsonValue(scan: JsonScanner, what: string, depth: number): JsonValue {
  const first = scan.peek();
  if ((first === 0x7b || first === 0x5b) && depth === 0) {
    throw scan.fail(`${what} is nested deeper than ${maxJsonDepth} levels`);
  }
  if (first === 0x7b) return readObject(scan, depth);
  if (first === 0x5b) return readArray(scan, depth);
  if (first === 0x22) return scan.string(what);
  if (first === 0x74 || first === 0x66 || first === 0x6e) return scan.keyword(what);
  return scan.number(what);
}

function readObject(scan: JsonScanner, depth: number): JsonObject {
  const entries = new Map<string, JsonValue>();
  readObjectEntries(scan, 'an object', (key) => {
    if (entries.has(key)) throw scan.fail(`the key ${quote(key)} occurs twice`);
    entries.set(key, readJsonValue(scan, `the value of ${quote(key)}`, depth - 1));
  });
  return entries;
}

/** Walks an object: `read` is called after each colon and consumes the value. Duplicates are the caller's to refuse. */
export function readObjectEntries(scan: JsonScanner, what: string, read: (key: string) => void): void {
  scan.expect(0x7b, what);
  if (scan.accept(0x7d)) return;
  do {
    const key = scan.string('a key');
    scan.expect(0x3a, "':' after a key");
    read(key);
  } while (scan.accept(0x2c));
  scan.expect(0x7d, "',' or '}'");
}

function readArray(scan: JsonScanner, depth: number): readonly JsonValue[] {
  const values: JsonValue[] = [];
  scan.expect(0x5b, 'an array');
  if (scan.accept(0x5d)) return values;
  do values.push(readJsonValue(scan, 'an array element', depth - 1));
  while (scan.accept(0x2c));
  scan.expect(0x5d, "',' or ']'");
  return values;
}
