import { invalidPicture } from './picture-header.ts';

/** Colour profiles, gamma and texts are nothing that changes a pixel here, and compressed ones can unpack to gigabytes. */
const pixelChunks = new Set(['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND']);
const signatureBytes = 8;
/** Length, type and checksum. */
const frameBytes = 12;

/**
 * A PNG without the chunks that its pixels do not need; an animation's first frame remains.
 * @param others more chunks to keep, e.g. `eXIf`
 * @throws WgrankError `media-invalid` when it ends within a chunk or has no end
 */
export function keepPixelChunks(png: Uint8Array, others: readonly string[] = []): Uint8Array {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const kept = new Uint8Array(png.length);
  kept.set(png.subarray(0, signatureBytes));
  let size = signatureBytes;
  for (let at = signatureBytes; ;) {
    if (at + frameBytes > png.length) throw cutShort();
    const end = at + frameBytes + view.getUint32(at);
    if (end > png.length) throw cutShort();
    const type = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (pixelChunks.has(type) || others.includes(type)) {
      kept.set(png.subarray(at, end), size);
      size += end - at;
    }
    if (type === 'IEND') return kept.subarray(0, size);
    at = end;
  }
}

const cutShort = () => invalidPicture('the PNG ends too early');
