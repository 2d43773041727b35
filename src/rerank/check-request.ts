import { WgrankError } from '../errors.ts';

/**
 * What the types of `rerank` promise and JavaScript does not: a part without its text would be read as the word “undefined”.
 * Numbers are checked where they are used.
 * @throws WgrankError `input-invalid` with the place of the value
 */
export function checkRequest(query: unknown, documents: unknown, options: unknown): void {
  checkContent(query, 'query');
  if (!Array.isArray(documents)) throw wrong('documents', documents, 'a list of texts or lists of parts');
  documents.forEach((document, i) => checkContent(document, `documents[${i}]`));
  if (options === undefined) return;
  if (!isRecord(options)) throw wrong('options', options, 'an object');
  const { instruct, truncate, signal, observe } = options;
  if (instruct !== undefined) checkText(instruct, 'options.instruct');
  if (truncate !== undefined && typeof truncate !== 'boolean') throw wrong('options.truncate', truncate, 'a boolean');
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw wrong('options.signal', signal, 'the signal of an AbortController');
  if (observe !== undefined && typeof observe !== 'function') throw wrong('options.observe', observe, 'a function');
}

function checkContent(content: unknown, where: string): void {
  if (typeof content === 'string') return checkText(content, where);
  if (!Array.isArray(content)) throw wrong(where, content, 'a text or a list of parts');
  content.forEach((part, i) => checkPart(part, `${where}[${i}]`));
}

function checkPart(part: unknown, where: string): void {
  const { type, text, image_url: picture, video_url: clip } = isRecord(part) ? part : {};
  if (type === 'text') return checkText(text, `${where}.text`);
  if (type === 'image_url') return checkText(isRecord(picture) ? picture['url'] : undefined, `${where}.image_url.url`);
  if (type !== 'video_url') throw wrong(`${where}.type`, type, "'text', 'image_url' or 'video_url'");
  const { url, fps } = isRecord(clip) ? clip : {};
  if (fps != null && !(typeof fps === 'number' && fps > 0 && fps < Infinity))
    throw wrong(`${where}.video_url.fps`, fps, 'a number above 0');
  if (!Array.isArray(url)) return checkText(url, `${where}.video_url.url`);
  if (url.length === 0) throw wrong(`${where}.video_url.url`, url, 'a clip needs at least one picture');
  url.forEach((frame, i) => checkText(frame, `${where}.video_url.url[${i}]`));
}

/** NUL and lone surrogates are characters that no tokenizer defines; the server refuses them too. */
function checkText(value: unknown, where: string): void {
  if (typeof value !== 'string') throw wrong(where, value, 'a text');
  if (value.includes('\0')) throw invalid(`${where} contains a NUL character (U+0000), which is not text`);
  // ES2024, in Node since 20.
  if (!(value as string & { isWellFormed(): boolean }).isWellFormed())
    throw invalid(`${where} contains a lone surrogate, which is not valid Unicode`);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const invalid = (detail: string) => new WgrankError('input-invalid', 'rerank', detail);

function wrong(where: string, value: unknown, rule: string): WgrankError {
  return invalid(`${where} is ${describe(value)} (${rule})`);
}

/** Enough to find the mistake, and never a text of the caller's. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
