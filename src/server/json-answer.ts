import type { Response } from 'express';
import { takeTurn } from '../text/long-work.ts';

/** UTF-16 units of texts that are written as JSON in one turn of the event loop: about 5 ms where memory is slow. */
const pieceUnits = 2 ** 18;

/**
 * Answers with JSON, as `response.json` without what this server has no use for (ETags, charsets, conditional requests), which is
 * a tenth of a request's time. Long texts, such as documents that are given back, are written a piece per turn of the event loop:
 * JSON.stringify of 16 MB holds it for up to 250 ms.
 */
export async function sendJson(response: Response, answer: unknown): Promise<void> {
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  if (!hasMoreThan(pieceUnits, answer)) {
    const text = JSON.stringify(answer);
    response.setHeader('Content-Length', Buffer.byteLength(text));
    // A text goes out in one write with the headers.
    response.end(text);
    return;
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for (const text of jsonPieces(answer)) {
    const piece = Buffer.from(text);
    pieces.push(piece);
    bytes += piece.length;
    await takeTurn();
    if (response.destroyed) return;
  }
  response.setHeader('Content-Length', bytes);
  for (const piece of pieces) {
    response.write(piece);
    await takeTurn();
    if (response.destroyed) return;
  }
  response.end();
}

function hasMoreThan(units: number, answer: unknown): boolean {
  let left = units;
  const isOver = (value: unknown): boolean => {
    if (typeof value === 'string') left -= value.length;
    else if (typeof value === 'object' && value !== null)
      for (const key in value)
        if (Object.hasOwn(value, key) && isOver((value as Record<string, unknown>)[key])) return true;
    return left < 0;
  };
  return isOver(answer);
}

/**
 * JSON of a value that JSON.stringify takes, in pieces of about so many units. Objects with a `toJSON` of their own are none of these.
 */
export function* jsonPieces(value: unknown, units = pieceUnits): Generator<string> {
  let ready = '';
  for (const text of writeValue(value, units)) {
    ready += text;
    if (ready.length < units) continue;
    yield ready;
    ready = '';
  }
  if (ready !== '') yield ready;
}

function* writeValue(value: unknown, units: number): Generator<string> {
  if (typeof value === 'string') yield* writeText(value, units);
  else if (typeof value !== 'object' || value === null) yield JSON.stringify(value) ?? 'null';
  else if (!hasMoreThan(units, value)) yield JSON.stringify(value);
  else if (Array.isArray(value)) {
    yield '[';
    for (const [i, held] of value.entries()) {
      if (i > 0) yield ',';
      yield* writeValue(held, units);
    }
    yield ']';
  } else {
    let before = '{';
    for (const [key, held] of Object.entries(value)) {
      if (held === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* writeValue(held, units);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  }
}

function* writeText(text: string, units: number): Generator<string> {
  if (text.length <= units) return yield JSON.stringify(text);
  yield '"';
  for (let from = 0; from < text.length;) {
    let to = Math.min(from + units, text.length);
    // A pair that is cut would be written as two escapes.
    if (isHighSurrogate(text.charCodeAt(to - 1)) && isLowSurrogate(text.charCodeAt(to))) to += 1;
    yield JSON.stringify(text.slice(from, to)).slice(1, -1);
    from = to;
  }
  yield '"';
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;
