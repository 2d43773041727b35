import { WgrankError } from '../errors.ts';

/** A sentencepiece `precompiled_charsmap`: UTF-8 keys in a double array, and the NUL-terminated texts that replace them. */
export interface Charsmap {
  /** Double-array units (darts-clone): bits 0–7 label, 8 has a leaf, 9–31 offset; in a leaf the value in bits 0–30. */
  readonly units: Uint32Array;
  /** Replacement texts in UTF-8, each ended by NUL or the end of the array; a leaf's value is the first byte. */
  readonly texts: Uint8Array;
}

const leafBit = 0x100;
const valueBit = 0x80000000;
/** Longest replacement in bytes; nmt_nfkc's is 33 (U+FDFA). */
const maxReplacementBytes = 256;

/**
 * Decodes and checks a charsmap: every state that a unit can lead to lies inside the array, every leaf points at a whole
 * character, so that matching cannot leave the arrays whatever the text is.
 * @param base64 little-endian u32 byte length of the units, the units, the texts; canonical base64
 * @throws WgrankError `tokenizer-invalid`
 */
export function decodeCharsmap(base64: string): Charsmap {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0) throw broken('it is not canonical base64');
  const blob = atob(base64);
  const bytes = new Uint8Array(blob.length);
  for (let i = 0; i < blob.length; i += 1) bytes[i] = blob.charCodeAt(i);
  if (bytes.length < 4) throw broken(`it has ${bytes.length} bytes (4 hold the length of its trie)`);
  const view = new DataView(bytes.buffer);
  const count = view.getUint32(0, true) >>> 2;
  const textsAt = 4 + count * 4;
  if (textsAt > bytes.length) throw broken(`its trie of ${count} units does not fit into ${bytes.length} bytes`);
  if (count === 0) throw broken('its trie is empty');
  const units = new Uint32Array(new SharedArrayBuffer(count * 4));
  for (let i = 0; i < count; i += 1) units[i] = view.getUint32(4 + i * 4, true);
  const texts = new Uint8Array(new SharedArrayBuffer(bytes.length - textsAt));
  texts.set(bytes.subarray(textsAt));
  checkTexts(bytes.subarray(textsAt));
  checkUnits(units, texts);
  return { units, texts };
}

function checkTexts(texts: Uint8Array): void {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(texts);
  } catch {
    throw broken('its replacement texts are not UTF-8');
  }
}

function checkUnits(units: Uint32Array, texts: Uint8Array): void {
  for (let at = 0; at < units.length; at += 1) {
    const unit = units[at]!;
    if (unit >= valueBit) continue;
    const state = (at ^ offsetOf(unit)) >>> 0;
    // A step XORs a byte into the state.
    if ((state | 0xff) >= units.length) throw broken(`unit ${at} leads to state ${state} of ${units.length}`);
    if ((unit & leafBit) === 0) continue;
    const value = units[state]! & 0x7fffffff;
    if (value >= texts.length || (texts[value]! & 0xc0) === 0x80)
      throw broken(`unit ${at} replaces by the text at byte ${value} of ${texts.length}`);
    const end = texts.indexOf(0, value);
    if ((end < 0 ? texts.length : end) - value > maxReplacementBytes)
      throw broken(`the text at byte ${value} is longer than ${maxReplacementBytes} bytes`);
  }
}

function broken(what: string): WgrankError {
  return new WgrankError(
    'tokenizer-invalid',
    'tokenizer.json',
    `normalizer: precompiled_charsmap is unusable: ${what}`,
  );
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

const noMatch = -1;

/** Replaces parts of a text as the Rust library's `Precompiled` does, with a memory for single characters. */
export class CharsmapMatcher {
  readonly #map: Charsmap;
  /** Replacement per value, decoded once. */
  readonly #replacements = new Map<number, string>();
  /** Per UTF-16 unit: 0 not looked up yet, 1 no replacement, else the value + 2. */
  readonly #known = new Int32Array(0x10000);

  constructor(map: Charsmap) {
    this.#map = map;
  }

  /** Replacement of one UTF-16 unit that is a whole character, or `undefined`. */
  replaceUnit(unit: number): string | undefined {
    let known = this.#known[unit]!;
    if (known === 0) {
      known = this.#shortest(String.fromCharCode(unit), 0, 1) + 2;
      this.#known[unit] = known;
    }
    return known === 1 ? undefined : this.#replacement(known - 2);
  }

  /**
   * Replacement of the shortest key that begins `text.slice(start, end)`, or `undefined`. A key never matches beyond a NUL.
   * The caller replaces the whole slice by it: what the key does not cover is lost, as in the Rust library.
   */
  replaceShortest(text: string, start: number, end: number): string | undefined {
    const value = this.#shortest(text, start, end);
    return value === noMatch ? undefined : this.#replacement(value);
  }

  #replacement(value: number): string {
    let text = this.#replacements.get(value);
    if (text === undefined) {
      const { texts } = this.#map;
      let end = texts.indexOf(0, value);
      if (end < 0) end = texts.length;
      text = new TextDecoder().decode(texts.slice(value, end));
      this.#replacements.set(value, text);
    }
    return text;
  }

  /** Value of the shortest key, or −1. */
  #shortest(text: string, start: number, end: number): number {
    const { units } = this.#map;
    let state = offsetOf(units[0]!);
    for (let i = start; i < end;) {
      const point = text.codePointAt(i)!;
      i += point > 0xffff ? 2 : 1;
      const length = utf8Length(point);
      for (let byteAt = 0; byteAt < length; byteAt += 1) {
        const byte = utf8Byte(point, length, byteAt);
        if (byte === 0) return noMatch;
        state ^= byte;
        const unit = units[state]!;
        if (unit >= valueBit || (unit & 0xff) !== byte) return noMatch;
        state ^= offsetOf(unit);
        if ((unit & leafBit) !== 0) return units[state]! & 0x7fffffff;
      }
    }
    return noMatch;
  }
}

/** Bytes of a code point in UTF-8. */
export function utf8Length(point: number): number {
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point < 0x10000 ? 3 : 4;
}

function utf8Byte(point: number, length: number, at: number): number {
  if (length === 1) return point;
  const bits = (point >>> (6 * (length - 1 - at))) & 0x3f;
  if (at > 0) return 0x80 | bits;
  return ((0xf00 >> length) & 0xff) | bits;
}
