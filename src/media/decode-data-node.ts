import { setImmediate } from 'node:timers/promises';

import { cutPieces, parseDataUri } from './data-uri.ts';
import { type ByteLimit, cancelled, invalid, tooLarge } from './source-limits.ts';

/** Characters between two turns of the event loop: under a millisecond of base64, a few of escapes. */
const pieceLength = 2 ** 18;

/** @throws WgrankError `media-refused`, `media-invalid`, `media-too-large`, `cancelled` */
export async function decodeDataUri(uri: string, limit: ByteLimit, signal?: AbortSignal): Promise<Uint8Array> {
  const { base64, start, end } = parseDataUri(uri);
  const pieces = cutPieces(uri, start, end, pieceLength);
  const into = new ByteSink(limit, base64 ? Math.ceil(((end - start) * 3) / 4) : 3 * (end - start));
  return base64 ? await decodeBase64(pieces, into, true, signal) : await decodePercent(pieces, into, signal);
}

/** Base64 that stands alone. @throws WgrankError `media-invalid`, `media-too-large`, `cancelled` */
export function decodeBareBase64(text: string, limit: ByteLimit, signal?: AbortSignal): Promise<Uint8Array> {
  const into = new ByteSink(limit, Math.ceil((text.length * 3) / 4));
  return decodeBase64(cutPieces(text, 0, text.length, pieceLength), into, false, signal);
}

/** Collects bytes, never more than the limit. */
class ByteSink {
  readonly #limit: ByteLimit;
  readonly #bytes: Buffer;
  #used = 0;

  /** @param atMost bytes that can come, whatever the limit */
  constructor(limit: ByteLimit, atMost: number) {
    this.#limit = limit;
    // Not from Node's pool: whoever reads may hand the memory on to a thread.
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(atMost, limit.maxBytes));
  }

  /** Room for bytes that are about to be decoded. @throws WgrankError `media-too-large` */
  take(count: number): Buffer {
    if (this.#used + count > this.#limit.maxBytes) throw tooLarge(this.#limit);
    this.#used += count;
    return this.#bytes.subarray(this.#used - count, this.#used);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }
}

/**
 * The “forgiving-base64 decode” of the web: the alphabet with + and /, ASCII white space anywhere, padding complete or left out.
 * `-` and `_` are not of it, and Python's b64decode drops them silently. Node's decoder takes all of that and more, so characters
 * are checked first.
 * source: https://infra.spec.whatwg.org/#forgiving-base64-decode
 * @param escaped whether `%2B` stands for a character, as in URIs
 */
async function decodeBase64(
  pieces: Iterable<string>,
  into: ByteSink,
  escaped: boolean,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  let rest = '';
  let padding = 0;
  for (const piece of pieces) {
    const { data, pads } = /[^A-Za-z0-9+/]/.test(piece) ? cleanBase64(piece, escaped) : { data: piece, pads: 0 };
    if (padding > 0 && data !== '') throw notBase64();
    padding += pads;
    const text = rest + data;
    const whole = text.length - (text.length % 4);
    into.take((whole / 4) * 3).write(text.slice(0, whole), 'base64');
    rest = text.slice(whole);
    await letOthersRun(signal);
  }
  const complete = padding === 0 ? rest.length !== 1 : padding <= 2 && (rest.length + padding) % 4 === 0;
  if (!complete) throw notBase64();
  if (rest !== '') into.take(rest.length - 1).write(rest, 'base64');
  return into.finish();
}

/** @returns the characters of the alphabet, and how many `=` follow them */
function cleanBase64(piece: string, escaped: boolean): { data: string; pads: number } {
  const bytes = Buffer.from(piece, 'utf8');
  const length = escaped ? decodeEscapes(bytes) : bytes.length;
  let count = 0;
  let pads = 0;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at]!;
    if (isWhiteSpace(byte)) continue;
    if (byte === 0x3d) pads += 1;
    else if (pads > 0) throw notBase64();
    else bytes[count++] = byte;
  }
  const data = bytes.toString('latin1', 0, count);
  if (/[^A-Za-z0-9+/]/.test(data)) throw notBase64();
  return { data, pads };
}

/** Tab, line feed, form feed, carriage return, space. */
const isWhiteSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09 || byte === 0x0c;

function notBase64(): Error {
  return invalid('the url is not valid base64 (its alphabet with + and /, and = at the end only)');
}

/** Bytes as themselves or as `%XX`. */
async function decodePercent(pieces: Iterable<string>, into: ByteSink, signal?: AbortSignal): Promise<Uint8Array> {
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'utf8');
    const count = decodeEscapes(bytes);
    bytes.copy(into.take(count), 0, 0, count);
    await letOthersRun(signal);
  }
  return into.finish();
}

/**
 * Decodes `%XX` in place; a `%` before anything else stays. source: https://url.spec.whatwg.org/#percent-decode
 * @returns how many bytes are left
 */
function decodeEscapes(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    const high = byte === 0x25 ? hexDigit(bytes[at + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(bytes[at + 2]);
    bytes[count++] = low < 0 ? byte : 16 * high + low;
    if (low >= 0) at += 2;
  }
  return count;
}

/** @returns −1 for anything else */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Lets others have the event loop. */
async function letOthersRun(signal?: AbortSignal): Promise<void> {
  await setImmediate();
  if (signal?.aborted) throw cancelled();
}
