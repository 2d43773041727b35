import { invalid, maxUrlLength, refuse } from './source-limits.ts';

/** Where the bytes of a source lie. */
export type SourcePlace = 'data' | 'base64' | 'https' | 'path';

/** Every picture has more bytes than these characters encode; shorter ones are names of files. */
const minBase64Length = 32;

/**
 * Tells a `data:` URI, bare base64, a URL and a path apart by their characters alone, so that what a request means does not depend
 * on which files there are. Bare base64 is 32 or more characters of its alphabet and line breaks, as SGLang takes it: a path
 * without any dot that is as long can be written `./…`.
 * @throws WgrankError `media-refused` for schemes that are never read and for characters that parsers disagree about;
 * `media-invalid` for an empty string
 */
export function classifySource(source: string): SourcePlace {
  if (/^data:/i.test(source)) return 'data';
  // Anything but base64 that is longer is refused: its beginning tells.
  const head = source.slice(0, maxUrlLength + 1);
  if (head.length >= minBase64Length && /^[A-Za-z0-9+/=\r\n]+$/.test(head)) return 'base64';
  if (source === '') throw invalid('the url is empty');
  refuseOddCharacters(source);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(source)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    if (source.startsWith('//')) throw refuse('the url begins with // and names no scheme (https: is read)');
    return 'path';
  }
  if (scheme === 'https') return 'https';
  if (scheme === 'file')
    throw refuse('file: URLs are never read (with --media-root, a plain path below that folder is)');
  throw refuse(`${scheme.slice(0, 20)}: URLs are never read (data: is, and https: from hosts of --media-allow)`);
}

/**
 * Control characters, backslashes and outer white space are what URL parsers mend, each in its own way.
 * @throws WgrankError `media-refused`
 */
export function refuseOddCharacters(url: string): void {
  if (url.length > maxUrlLength)
    throw refuse(`the url has ${url.length} characters (at most ${maxUrlLength}, except for data: URIs and base64)`);
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\\]/.test(url)) throw refuse('the url holds a control character or a backslash');
  if (url.trim() !== url) throw refuse('the url begins or ends with white space');
}
