import type { Random } from './random.ts';

/** What breaks parsers, for requests and for JSON. */
const tokens = [
  '\0', '\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', ':', ';', ',', '/', '%', '%00', '%ff', '?', '#', '\\', '..', '[', '{', '"', '\\u',
  '\\ud800', '1e400', '-1', '99999999999999999999', 'null', 'true', '__proto__', 'constructor', '[[[[', '{"a":', '\ufeff',
  'HTTP/1.1', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '0\r\n\r\n', 'chunked', '/tei', '/cohere', '/v1', 'http://',
].map((text) => Buffer.from(text)); // prettier-ignore

const headers = [
  'Content-Length: 0', 'Content-Length: 5', 'Content-Length: -5', 'Content-Length: 9999999999', 'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: identity', 'Connection: close', 'Connection: keep-alive',
  'Connection: upgrade', 'Upgrade: h2c', 'Expect: 100-continue', 'Expect: x', 'Content-Encoding: gzip', 'Content-Encoding: br',
  'Content-Encoding: identity', 'Content-Encoding: deflate, gzip', 'Content-Type: text/plain', 'Content-Type: application/json;charset=utf-16',
  'Host: evil.example', 'Origin: https://evil.example', 'Authorization: Bearer x', 'X-Api-Key: x', 'Range: bytes=0-9,5-', 'If-None-Match: *',
  'Accept-Encoding: *;q=0', 'X-Forwarded-Proto: https', 'Trailer: x', 'TE: trailers', 'Cookie: a=b', 'X-HTTP-Method-Override: DELETE',
]; // prettier-ignore

const values: readonly unknown[] = [
  null, true, false, 0, -1, 1.5, 2 ** 53, -(2 ** 63), 1e308, '', ' ', '\0', '\ud800', 'a'.repeat(5000), '漢'.repeat(300), [], [[]], {}, [null],
  { text: null }, { text: 'a' }, { image: 'x' }, { type: 'image_url' }, { type: 'text', text: 5 }, { content: [{ type: 'text', text: 'a' }] },
  ['a', 5], Array.from({ length: 300 }, () => 'b'), { ['__proto__']: 1 }, { toString: 1 }, '1e3', '0x10', 'true', 'hasOwnProperty',
]; // prettier-ignore

type Mutator = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const replaced = (bytes: Buffer, from: number, to: number, by: Uint8Array = new Uint8Array()) =>
  Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
const endOfHead = (bytes: Buffer) => bytes.indexOf('\r\n\r\n');

const mutators: readonly Mutator[] = [
  function flipBits(bytes, random) {
    const flipped = Buffer.from(bytes);
    for (let i = random.below(8); i >= 0; i--) flipped[random.below(bytes.length)]! ^= 1 << random.below(8);
    return flipped;
  },
  function splice(bytes, random, other) {
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length)),
      other.subarray(random.below(other.length), other.length),
    ]);
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, 1 + random.below(bytes.length));
  },
  function repeat(bytes, random) {
    const from = random.below(bytes.length);
    const piece = bytes.subarray(from, from + 1 + random.below(64));
    const times = random.pick([1, 2, 10, 200]);
    return replaced(bytes, from, from, Buffer.alloc(piece.length * times, piece));
  },
  function remove(bytes, random) {
    const from = random.below(bytes.length);
    return replaced(bytes, from, from + 1 + random.below(random.pick([1, 8, 64])));
  },
  function insertToken(bytes, random) {
    const at = random.below(bytes.length);
    return replaced(bytes, at, at, random.pick(tokens));
  },
  function insertBytes(bytes, random) {
    const at = random.below(bytes.length);
    return replaced(
      bytes,
      at,
      at,
      Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256)),
    );
  },
  function addHeader(bytes, random) {
    const at = bytes.indexOf('\r\n');
    return at < 0 ? bytes : replaced(bytes, at, at, Buffer.from(`\r\n${random.pick(headers)}`));
  },
  function swapHeaders(bytes, random) {
    const end = endOfHead(bytes);
    if (end < 0) return bytes;
    const lines = bytes.subarray(0, end).toString('latin1').split('\r\n');
    const [i, j] = [random.below(lines.length), random.below(lines.length)];
    [lines[i], lines[j]] = [lines[j]!, lines[i]!];
    return replaced(bytes, 0, end, Buffer.from(lines.join('\r\n'), 'latin1'));
  },
  function changeJson(bytes, random) {
    const start = endOfHead(bytes) + 4;
    if (start < 4) return bytes;
    try {
      const holder: Record<string, unknown> = { body: JSON.parse(bytes.subarray(start).toString()) };
      changeSomewhere(holder, random);
      return withLength(replaced(bytes, start, bytes.length, Buffer.from(JSON.stringify(holder['body']))));
    } catch {
      return bytes;
    }
  },
];

/** Goes down from value to value until it stops at one, which it replaces, renames or doubles. */
function changeSomewhere(holder: Record<string, unknown>, random: Random): void {
  const keys = Object.keys(holder);
  const key = random.pick(keys);
  const value = holder[key];
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0 && random.chance(75))
    return changeSomewhere(value as Record<string, unknown>, random);
  const way = random.below(4);
  if (way === 0 && !Array.isArray(holder)) delete holder[key];
  else if (way === 1 && !Array.isArray(holder))
    holder[random.pick(['documents', 'texts', 'top_n', 'top_k', 'type', 'model'])] = value;
  else holder[key] = random.pick(values);
}

/** With a Content-Length that is true: so that what is wrong with a body is found by whoever reads it. */
export function withLength(bytes: Buffer): Buffer {
  const end = endOfHead(bytes);
  if (end < 0) return bytes;
  const head = bytes.subarray(0, end).toString('latin1');
  const fixed = head.replace(/\r\nContent-Length: *\d+/i, `\r\nContent-Length: ${bytes.length - end - 4}`);
  return replaced(bytes, 0, end, Buffer.from(fixed, 'latin1'));
}

/** @param other what is spliced with it */
export function mutate(bytes: Buffer, random: Random, other: Buffer): Buffer {
  let mutated = bytes;
  for (let i = random.below(4); i >= 0 && mutated.length > 0; i--)
    mutated = random.pick(mutators)(mutated, random, other);
  return random.chance(60) ? withLength(mutated) : mutated;
}
