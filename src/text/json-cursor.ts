import { WgrankError } from '../errors.ts';

const quote = 0x22;
const backslash = 0x5c;
const maxDepth = 128;

/**
 * Reads JSON from UTF-8 bytes without building the whole value: a vocabulary of 250,000 entries goes straight into typed
 * arrays. As strict as `JSON.parse`.
 */
export class JsonCursor {
  readonly bytes: Uint8Array;
  at = 0;
  readonly #file: string;

  /** @param bytes valid UTF-8; `file` names it in errors */
  constructor(bytes: Uint8Array, file: string) {
    this.bytes = bytes;
    this.#file = file;
  }

  /** @returns the error to throw for a fault at the current byte */
  fault(what: string): WgrankError {
    return new WgrankError('tokenizer-invalid', this.#file, `${what} at byte ${this.at} of ${this.bytes.length}`);
  }

  /** Skips white space and returns the next byte, 0 at the end. */
  peek(): number {
    const { bytes } = this;
    let at = this.at;
    while (at < bytes.length) {
      const byte = bytes[at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
      at += 1;
    }
    this.at = at;
    return at < bytes.length ? bytes[at]! : 0;
  }

  /** Takes one structural character. */
  expect(character: string): void {
    if (this.peek() !== character.charCodeAt(0)) throw this.fault(`expected ${character}`);
    this.at += 1;
  }

  /** Takes a character if it comes next. */
  accept(character: string): boolean {
    if (this.peek() !== character.charCodeAt(0)) return false;
    this.at += 1;
    return true;
  }

  /** Walks an object: `visit` must take the value of each key. A key that comes twice is a fault. */
  object(visit: (key: string) => void): void {
    this.expect('{');
    const seen = new Set<string>();
    if (this.accept('}')) return;
    do {
      if (this.peek() !== quote) throw this.fault('expected a key');
      const key = this.value();
      if (typeof key !== 'string' || seen.has(key)) throw this.fault(`key ${JSON.stringify(key)} comes twice`);
      seen.add(key);
      this.expect(':');
      visit(key);
    } while (this.accept(','));
    this.expect('}');
  }

  /** Takes any value, nested at most 128 deep, as `JSON.parse` returns it. */
  value(): unknown {
    this.peek();
    const start = this.at;
    this.#skip();
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.bytes.subarray(start, this.at));
    try {
      return JSON.parse(text);
    } catch {
      this.at = start;
      throw this.fault('malformed JSON');
    }
  }

  /** Moves behind any value; of what lies inside only brackets and strings are looked at. */
  skip(): void {
    this.peek();
    this.#skip();
  }

  /** Takes a whole number of at most 15 digits. */
  wholeNumber(): number {
    this.peek();
    const start = this.at;
    let value = 0;
    while (this.bytes[this.at]! >= 0x30 && this.bytes[this.at]! <= 0x39) {
      value = value * 10 + this.bytes[this.at]! - 0x30;
      this.at += 1;
    }
    const digits = this.at - start;
    if (digits === 0 || digits > 15 || (digits > 1 && this.bytes[start] === 0x30))
      throw this.fault('expected a whole number');
    return value;
  }

  /** Moves behind the value that begins here; what lies inside is checked by `JSON.parse`. */
  #skip(): void {
    const { bytes } = this;
    let depth = 0;
    while (this.at < bytes.length) {
      const byte = bytes[this.at]!;
      if (byte === quote) this.#skipString();
      else if (byte === 0x7b || byte === 0x5b) {
        depth += 1;
        if (depth > maxDepth) throw this.fault(`nested more than ${maxDepth} deep`);
        this.at += 1;
      } else if (byte === 0x7d || byte === 0x5d) {
        if (depth === 0) return;
        depth -= 1;
        this.at += 1;
      } else if (depth === 0 && (byte === 0x2c || byte === 0x3a)) return;
      else {
        this.at += 1;
        continue;
      }
      if (depth === 0) return;
    }
    if (depth > 0) throw this.fault('the file ends inside a value');
  }

  #skipString(): void {
    const { bytes } = this;
    for (let at = this.at + 1; at < bytes.length; at += 1) {
      if (bytes[at] === backslash) at += 1;
      else if (bytes[at] === quote) {
        this.at = at + 1;
        return;
      }
    }
    throw this.fault('the file ends inside a string');
  }

  /** Reads a string into UTF-16 units. @returns the units read; the array is `text.units` */
  stringUnits(text: UnitBuffer): number {
    this.expect('"');
    const { bytes } = this;
    let at = this.at;
    let length = 0;
    for (;;) {
      if (at >= bytes.length) throw this.fault('the file ends inside a string');
      const byte = bytes[at]!;
      if (byte === quote) break;
      if (byte === backslash) return this.#escapedUnits(text);
      if (byte < 0x20) throw this.fault('a control character inside a string');
      if (length + 2 > text.units.length) text.grow();
      const { units } = text;
      if (byte < 0x80) {
        units[length] = byte;
        length += 1;
        at += 1;
      } else if (byte < 0xe0) {
        units[length] = ((byte & 0x1f) << 6) | (bytes[at + 1]! & 0x3f);
        length += 1;
        at += 2;
      } else if (byte < 0xf0) {
        units[length] = ((byte & 0x0f) << 12) | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f);
        length += 1;
        at += 3;
      } else {
        const point =
          ((byte & 0x07) << 18) |
          ((bytes[at + 1]! & 0x3f) << 12) |
          ((bytes[at + 2]! & 0x3f) << 6) |
          (bytes[at + 3]! & 0x3f);
        units[length] = 0xd7c0 + (point >> 10);
        units[length + 1] = 0xdc00 | (point & 0x3ff);
        length += 2;
        at += 4;
      }
    }
    this.at = at + 1;
    return length;
  }

  /** The same for a string with escapes; the cursor is behind the opening quote. */
  #escapedUnits(text: UnitBuffer): number {
    this.at -= 1;
    const value = this.value();
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(value))
      throw this.fault('half of a surrogate pair inside a string');
    while (text.units.length < value.length) text.grow();
    for (let i = 0; i < value.length; i += 1) text.units[i] = value.charCodeAt(i);
    return value.length;
  }
}

/** Room for one string. */
export class UnitBuffer {
  units = new Uint16Array(256);

  grow(): void {
    const grown = new Uint16Array(this.units.length * 2);
    grown.set(this.units);
    this.units = grown;
  }
}
