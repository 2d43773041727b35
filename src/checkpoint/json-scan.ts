/** What a token is called in an error message, by its first byte. */
function describe(byte: number | undefined): string {
  if (byte === undefined) return 'the end of the text';
  if (byte === 0x7b) return 'an object';
  if (byte === 0x5b) return 'an array';
  if (byte === 0x22) return 'a string';
  if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return 'a number';
  if (byte > 0x20 && byte < 0x7f) return `'${String.fromCharCode(byte)}'`;
  return `byte 0x${byte.toString(16).padStart(2, '0')}`;
}

/** Quotes a string of an untrusted file for a message: control characters escaped, long ones cut. */
export function quote(text: string): string {
  return text.length <= 120
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, 100))}… (${text.length} characters)`;
}

/** JSON's own number grammar. */
const numberForm = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** Integers that JavaScript holds exactly and that are spelt in the one canonical way. */
const integerForm = /^(0|[1-9]\d{0,15})$/;
export const integerRule = 'a whole number of at most 2^53-1 without sign, fraction, exponent or leading zero';

/**
 * Reads JSON token by token from UTF-8 bytes, so that duplicate keys, `-0`, `1e3`, numbers beyond 2^53 and deep nesting can be
 * refused where they stand; `JSON.parse` accepts or rounds all of them. Every failure is the error that `refuse` makes.
 */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #refuse: (detail: string) => Error;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #at = 0;

  constructor(bytes: Uint8Array, refuse: (detail: string) => Error) {
    this.#bytes = bytes;
    this.#refuse = refuse;
  }

  /** An error that names the byte where the scan stands. */
  fail(detail: string): Error {
    return this.#refuse(`${detail} (byte ${this.#at})`);
  }

  /** An error about the token that comes next. */
  failExpected(what: string): Error {
    this.#skipSpace();
    return this.fail(`expected ${what}, found ${describe(this.#bytes[this.#at])}`);
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < bytes.length) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
      at++;
    }
    this.#at = at;
  }

  /** First byte of the next token, or undefined at the end. */
  peek(): number | undefined {
    this.#skipSpace();
    return this.#bytes[this.#at];
  }

  /** Consumes `byte` when it is the next token's first. */
  accept(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.#at++;
    return true;
  }

  expect(byte: number, what: string): void {
    if (!this.accept(byte)) throw this.failExpected(what);
  }

  /** Throws unless only white space is left. */
  expectEnd(): void {
    if (this.peek() !== undefined) throw this.failExpected('nothing more after the closing brace');
  }

  /**
   * Consumes the string that comes next when it is spelt without escapes and equals one of `literals`.
   * @returns its index, or -1 with nothing consumed
   */
  literal(literals: readonly Uint8Array[]): number {
    if (this.peek() !== 0x22) return -1;
    const bytes = this.#bytes;
    const start = this.#at + 1;
    for (let i = 0; i < literals.length; i++) {
      const literal = literals[i]!;
      const end = start + literal.length;
      if (bytes[end] !== 0x22) continue;
      let at = 0;
      while (at < literal.length && bytes[start + at] === literal[at]) at++;
      if (at < literal.length) continue;
      this.#at = end + 1;
      return i;
    }
    return -1;
  }

  /** A string: valid UTF-8, no raw control characters, no lone surrogates. */
  string(what: string): string {
    if (this.peek() !== 0x22) throw this.failExpected(what);
    const bytes = this.#bytes;
    const start = this.#at + 1;
    let at = start;
    let escaped = false;
    for (;;) {
      const byte = bytes[at];
      if (byte === 0x22) break;
      if (byte === undefined) throw this.fail(`${what} is not closed`);
      if (byte < 0x20)
        throw this.fail(`${what} holds the raw control character 0x${byte.toString(16).padStart(2, '0')}`);
      if (byte === 0x5c) {
        escaped = true;
        at++;
      }
      at++;
    }
    let text: string;
    try {
      text = this.#decoder.decode(bytes.subarray(start, at));
    } catch {
      throw this.fail(`${what} is not valid UTF-8`);
    }
    if (escaped) text = this.#unescape(text, what);
    this.#at = at + 1;
    return text;
  }

  #unescape(text: string, what: string): string {
    let value: unknown;
    try {
      value = JSON.parse(`"${text}"`);
    } catch {
      throw this.fail(`${what} holds an invalid escape: ${quote(text)}`);
    }
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(value)) {
      throw this.fail(`${what} holds a lone surrogate: ${quote(text)}`);
    }
    return value;
  }

  /** An integer 0 … 2^53−1 in its canonical spelling. */
  integer(what: string): number {
    const first = this.peek();
    const bytes = this.#bytes;
    let at = this.#at;
    let value = 0;
    // Up to 15 digits fit exactly; anything else takes the slow way, which checks the spelling.
    while (at - this.#at < 15) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    const next = bytes[at];
    const ends = next === 0x2c || next === 0x5d || next === 0x7d || next === 0x20 || next === 0x0a;
    if (ends && at > this.#at && (first !== 0x30 || at === this.#at + 1)) {
      this.#at = at;
      return value;
    }
    const text = this.#numberText(what);
    const exact = integerForm.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(exact)) throw this.fail(`${what} is ${quote(text)} (${integerRule})`);
    this.#at += text.length;
    return exact;
  }

  /** Any number of JSON that a double holds without overflow. */
  number(what: string): number {
    const text = this.#numberText(what);
    const value = numberForm.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value)) throw this.fail(`${what} is ${quote(text)} (a finite JSON number)`);
    this.#at += text.length;
    return value;
  }

  #numberText(what: string): string {
    const first = this.peek();
    if (first === undefined || (first !== 0x2d && (first < 0x30 || first > 0x39))) throw this.failExpected(what);
    let end = this.#at;
    for (; end < this.#bytes.length; end++) {
      const byte = this.#bytes[end]!;
      const part = (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e;
      if (!part && byte !== 0x65 && byte !== 0x45) break;
    }
    return this.#decoder.decode(this.#bytes.subarray(this.#at, end));
  }

  /** One of `true`, `false`, `null`. */
  keyword(what: string): boolean | null {
    this.#skipSpace();
    for (const [text, value] of keywords) {
      let at = 0;
      while (at < text.length && this.#bytes[this.#at + at] === text.charCodeAt(at)) at++;
      if (at < text.length) continue;
      this.#at += at;
      return value;
    }
    throw this.failExpected(what);
  }
}

const keywords: readonly (readonly [string, boolean | null])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];
