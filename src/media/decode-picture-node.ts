import sharp from 'sharp';

import { WgrankError } from '../errors.ts';
import { checkMemory, checkPicture, maxPicturePixels } from './check-picture.ts';
import { invalidPicture, type PictureHeader } from './picture-header.ts';
import { keepPixelChunks } from './png-chunks.ts';

// Nothing but these decoders, whatever libvips could read, and nothing kept between pictures.
sharp.block({ operation: ['VipsForeignLoad'] });
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif'].map((format) => `VipsForeignLoad${format}Buffer`);
sharp.unblock({ operation: loaders });
sharp.cache(false);
sharp.concurrency(1);

export interface DecodeOptions {
  /** Turn the picture as its EXIF orientation says; the reference does not. */
  readonly applyExif: boolean;
}

/** 8-bit RGB, `[height, width, 3]`. */
export interface DecodedPicture {
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/**
 * Decodes a JPEG, PNG, WebP or GIF (its first frame), told by its content. The pixels are Pillow's `convert('RGB')`: colour
 * profiles are not applied, CMYK becomes (1 − c)(1 − k), of 16 bits the upper 8 count. Transparency lies over white.
 * Grey PNGs of 16 bits also keep their upper 8 (Pillow makes everything above 255 white).
 *
 * @throws WgrankError `media-invalid`, `media-too-large`
 */
export async function decodePicture(bytes: Uint8Array, { applyExif }: DecodeOptions): Promise<DecodedPicture> {
  const header = checkPicture(bytes);
  const source = header.format === 'PNG' ? keepPixelChunks(bytes, applyExif ? ['eXIf'] : []) : bytes;
  try {
    return await decode(source, header, applyExif);
  } catch (error) {
    if (error instanceof WgrankError) throw error;
    // The decoder's own words may quote the file.
    throw invalidPicture(`the ${header.format} is damaged or ends too early`);
  }
}

async function decode(bytes: Uint8Array, header: PictureHeader, applyExif: boolean): Promise<DecodedPicture> {
  const options = { failOn: 'warning', ignoreIcc: true, pages: 1, limitInputPixels: maxPicturePixels } as const;
  const picture = sharp(bytes, options);
  if (applyExif) {
    const { orientation = 1 } = await picture.metadata();
    // Turning a picture takes another copy or two.
    if (orientation > 1) checkMemory({ ...header, bytesPerPixel: header.bytesPerPixel + 6 }, bytes.length);
    picture.autoOrient();
  }
  if (header.isCmyk) picture.pipelineColourspace('cmyk').toColourspace('cmyk');
  const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  // A second header inside the file, such as a frame that is larger than the canvas.
  if (width * height !== header.width * header.height) throw invalidPicture(`the ${header.format} has two sizes`);
  if (header.isCmyk) mixInks(data);
  else if (channels === 4) layOverWhite(data);
  else if (channels !== 3) throw invalidPicture(`the ${header.format} has ${channels} channels`);
  return { rgb: data.subarray(0, width * height * 3), width, height };
}

/** x / 255 to the nearest, for x up to 255². */
function divideBy255(product: number): number {
  const sum = product + 128;
  return (sum + (sum >> 8)) >> 8;
}

/** RGBA → RGB at the buffer's front: colour·α + 255·(1 − α), rounded as Pillow rounds a paste through a mask. */
function layOverWhite(data: Uint8Array): void {
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3]!;
    const white = 255 * (255 - alpha);
    data[to] = divideBy255(data[from]! * alpha + white);
    data[to + 1] = divideBy255(data[from + 1]! * alpha + white);
    data[to + 2] = divideBy255(data[from + 2]! * alpha + white);
  }
}

/** CMYK → RGB at the buffer's front: 255 − k − c·(255 − k)/255, as Pillow converts. */
function mixInks(data: Uint8Array): void {
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const light = 255 - data[from + 3]!;
    data[to] = light - divideBy255(data[from]! * light);
    data[to + 1] = light - divideBy255(data[from + 1]! * light);
    data[to + 2] = light - divideBy255(data[from + 2]! * light);
  }
}
