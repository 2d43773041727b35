import { WgrankError } from '../errors.ts';
import { readPictureHeader, type PictureHeader } from './picture-header.ts';
import { checkSideRatio } from './smart-resize.ts';

/** 8K. Bigger ones are shrunk to a twenty-fifth or less by every published reranker. */
export const maxPicturePixels = 7680 * 4320;
/** What decoding may take: enough for 33 megapixels of a baseline JPEG or a PNG, and 20 of a progressive JPEG or a WebP. */
const maxDecodeBytes = 220_000_000;
/** Of the file: on its way into the process, in it, and without what its pixels do not need. */
const copies = 3;

/**
 * Refuses a picture by its header, before anything is unpacked.
 * @throws WgrankError `media-invalid` for another format or a side ratio over 200, `media-too-large`
 */
export function checkPicture(bytes: Uint8Array): PictureHeader {
  const header = readPictureHeader(bytes);
  const { width, height } = header;
  if (width * height > maxPicturePixels) throw tooLarge(header, `at most ${maxPicturePixels} in all`);
  checkMemory(header, bytes.length);
  checkSideRatio(height, width);
  return header;
}

/** @throws WgrankError `media-too-large` */
export function checkMemory(header: PictureHeader, fileBytes: number): void {
  const most = Math.floor((maxDecodeBytes - copies * fileBytes) / header.bytesPerPixel);
  if (header.width * header.height <= most) return;
  throw tooLarge(header, `at most ${Math.max(0, most)} in all for a file of this kind and of ${fileBytes} bytes`);
}

function tooLarge({ format, width, height }: PictureHeader, rule: string): WgrankError {
  return new WgrankError('media-too-large', 'picture', `the ${format} has ${width} x ${height} pixels (${rule})`);
}
