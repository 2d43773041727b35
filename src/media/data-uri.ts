import { invalid, refuse } from './source-limits.ts';

/** A `data:` URI without its bytes. */
export interface DataUri {
  /** Lower case, without parameters; empty when none is given. */
  readonly mediaType: string;
  readonly base64: boolean;
  /** Where the encoded bytes begin and end in the URI. A fragment is none of them. */
  readonly start: number;
  readonly end: number;
}

/** Characters from `data:` to the comma; real ones have under 100. */
const maxHeaderLength = 1024;

/**
 * Reads the head of a `data:` URI: any parameters, `;base64` as the last, in any case. The media type is no promise, the content
 * decides what is decoded; one that is neither picture nor video nor plain bytes is a mistake of the caller.
 * source: https://fetch.spec.whatwg.org/#data-urls
 * @throws WgrankError `media-invalid` without a comma, `media-refused` for another media type
 */
export function parseDataUri(uri: string): DataUri {
  const comma = uri.slice(0, maxHeaderLength).indexOf(',');
  if (comma < 0) throw invalid(`the data: URI has no comma in its first ${maxHeaderLength} characters`);
  const head = uri.slice('data:'.length, comma).trim();
  const base64 = /; *base64$/i.test(head);
  const mediaType = head.split(';', 1)[0]!.trim().toLowerCase();
  if (!/^$|^(?:image|video)\/|^(?:application|binary)\/octet-stream$|^application\/(?:mp4|ogg)$/.test(mediaType))
    throw refuse(`a data: URI of type ${JSON.stringify(mediaType.slice(0, 60))} is not read (image/… and video/… are)`);
  const hash = uri.indexOf('#', comma);
  return { mediaType, base64, start: comma + 1, end: hash < 0 ? uri.length : hash };
}

/**
 * Cuts text into pieces that can be decoded one by one: between them neither an escape such as `%2B` nor a surrogate pair is cut.
 */
export function* cutPieces(text: string, start: number, end: number, length: number): Generator<string> {
  for (let from = start; from < end;) {
    let to = Math.min(from + length, end);
    if (to < end) {
      if (text[to - 1] === '%' || isHighSurrogate(text.charCodeAt(to - 1))) to -= 1;
      else if (text[to - 2] === '%') to -= 2;
    }
    yield text.slice(from, to);
    from = to;
  }
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
