import { WgrankError } from '../errors.ts';

export type PictureFormat = 'JPEG' | 'PNG' | 'WebP' | 'GIF';

/** What a picture says about itself, read before any decoder sees it. */
export interface PictureHeader {
  readonly format: PictureFormat;
  readonly width: number;
  readonly height: number;
  /** JPEG of four components. */
  readonly isCmyk: boolean;
  /** Memory that a decoder takes for each pixel: its own, measured with libvips 8.18, and the bytes that come out. */
  readonly bytesPerPixel: number;
}

/**
 * Reads format and size from the content; names and media types that others gave it do not count.
 * @throws WgrankError `media-invalid` for another format or a header that is cut short
 */
export function readPictureHeader(bytes: Uint8Array): PictureHeader {
  if (bytes.length === 0) throw invalidPicture('it has 0 bytes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const header = readFormat(view);
    if (header.width > 0 && header.height > 0) return header;
    throw invalidPicture(`the ${header.format} says that it has ${header.width} x ${header.height} pixels`);
  } catch (error) {
    if (error instanceof RangeError) throw invalidPicture('it ends within its header');
    throw error;
  }
}

/** The error for a picture that cannot be read. */
export function invalidPicture(detail: string): WgrankError {
  return new WgrankError('media-invalid', 'picture', detail);
}

function readFormat(view: DataView): PictureHeader {
  if (startsWith(view, [0xff, 0xd8, 0xff])) return readJpeg(view);
  if (startsWith(view, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return readPng(view);
  if (textAt(view, 0, 4) === 'RIFF' && textAt(view, 8, 4) === 'WEBP') return readWebp(view);
  if (/^GIF8[79]a$/.test(textAt(view, 0, 6))) return readGif(view);
  throw invalidPicture(`it is ${nameContent(view)} (JPEG, PNG, WebP and GIF are read)`);
}

/** Markers and fill bytes before the first scan; real files have dozens. */
const maxJpegSteps = 65_536;

/**
 * Segments up to the first scan: the frame header has the size, the scan says whether all components come at once. Decoders pass
 * over some markers that stand for nothing and go on behind them, where a segment's length would lead elsewhere: none is let through.
 */
function readJpeg(view: DataView): PictureHeader {
  let frame: { width: number; height: number; progressive: boolean; components: number; samples: number } | undefined;
  for (let at = 2, steps = 0; ; steps++) {
    if (steps === maxJpegSteps)
      throw invalidPicture(`the JPEG has over ${steps} markers before its picture (at most as many)`);
    if (view.getUint8(at) !== 0xff) throw invalidPicture('the JPEG has bytes between its segments');
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (marker === 0xd9) throw invalidPicture('the JPEG has no picture');
    else if (marker < 0xc0) throw invalidPicture('the JPEG has a marker between its segments that stands for nothing');
    else {
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) frame ??= readJpegFrame(view, at);
      if (marker === 0xda) {
        if (frame === undefined) throw invalidPicture('the JPEG has no size before its first scan');
        const { width, height, components, samples } = frame;
        // Coefficients of 16 bits wait in memory until the last scan has come.
        const isWhole = !frame.progressive && view.getUint8(at + 4) === components;
        const bytesPerPixel = Math.max(3, components) + (isWhole ? 0 : 2 * samples);
        return { format: 'JPEG', width, height, isCmyk: components === 4, bytesPerPixel };
      }
      at += 2 + view.getUint16(at + 2);
    }
  }
}

function readJpegFrame(view: DataView, at: number) {
  const components = view.getUint8(at + 9);
  const areas = Array.from({ length: components }, (_, index) => {
    const factors = view.getUint8(at + 11 + 3 * index);
    return { across: factors >> 4, down: factors & 15 };
  });
  const across = Math.max(1, ...areas.map((area) => area.across));
  const down = Math.max(1, ...areas.map((area) => area.down));
  return {
    height: view.getUint16(at + 5),
    width: view.getUint16(at + 7),
    progressive: (view.getUint8(at + 1) & 3) === 2,
    components,
    /** Per pixel, of all components. */
    samples: areas.reduce((sum, area) => sum + (area.across * area.down) / (across * down), 0),
  };
}

function readPng(view: DataView): PictureHeader {
  if (textAt(view, 12, 4) !== 'IHDR') throw invalidPicture('the PNG does not begin with its header');
  const sampleBytes = view.getUint8(24) === 16 ? 2 : 1;
  // An interlaced picture is put together in memory.
  const bytesPerPixel = 4 + (view.getUint8(28) === 0 ? 0 : 4 * sampleBytes);
  return { format: 'PNG', width: view.getUint32(16), height: view.getUint32(20), isCmyk: false, bytesPerPixel };
}

function readWebp(view: DataView): PictureHeader {
  const kind = textAt(view, 12, 4);
  if (kind === 'VP8X') return describeWebp(uint24(view, 24) + 1, uint24(view, 27) + 1);
  if (kind === 'VP8 ') return describeWebp(view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff);
  if (kind !== 'VP8L') throw invalidPicture('the WebP has no picture');
  const packed = view.getUint32(21, true);
  return describeWebp((packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1);
}

const uint24 = (view: DataView, at: number) => view.getUint16(at, true) + view.getUint8(at + 2) * 0x1_0000;

function describeWebp(width: number, height: number): PictureHeader {
  return { format: 'WebP', width, height, isCmyk: false, bytesPerPixel: 10 };
}

function readGif(view: DataView): PictureHeader {
  const width = view.getUint16(6, true);
  return { format: 'GIF', width, height: view.getUint16(8, true), isCmyk: false, bytesPerPixel: 8 };
}

function nameContent(view: DataView): string {
  const head = textAt(view, 0, 256).replace('\u00ef\u00bb\u00bf', '').trimStart();
  const name = known.find(([, ...magics]) => magics.some((magic) => head.startsWith(magic)))?.[0];
  if (name !== undefined) return name;
  const box = textAt(view, 4, 8);
  if (box.startsWith('ftyp')) return /^ftypavi[fs]/.test(box) ? 'AVIF' : 'HEIF or a video';
  return 'of no format that is known here';
}

/** First characters of other formats. */
const known: readonly (readonly [string, ...string[]])[] = [
  ['SVG, HTML or other XML', '<'],
  ['TIFF', 'II*\0', 'II+\0', 'MM\0*', 'MM\0+'],
  ['BMP', 'BM'],
  ['PDF', '%PDF'],
  ['PSD', '8BPS'],
  ['ICO', '\0\0\u0001\0', '\0\0\u0002\0'],
  ['JPEG 2000', '\0\0\0\u000cjP  ', '\u00ff\u004f\u00ff\u0051'],
  ['JPEG XL', '\0\0\0\u000cJXL ', '\u00ff\n'],
  ['a sound or video', 'RIFF', '\u001aE\u00df\u00a3'],
];

const startsWith = (view: DataView, magic: readonly number[]): boolean =>
  view.byteLength >= magic.length && magic.every((byte, at) => view.getUint8(at) === byte);

/** Bytes as Latin-1, as many as there are. */
function textAt(view: DataView, at: number, length: number): string {
  const count = Math.max(0, Math.min(length, view.byteLength - at));
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + Math.min(at, view.byteLength), count));
}
