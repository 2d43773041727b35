import { RerankInputError } from './errors.ts';

/** Bytes that become text at once: a multiple of three, as base64 has it, and few enough for the arguments of one call. */
const chunkBytes = 3 * 8192;

/**
 * A picture's or clip's file as a `data:` URI, for `image_url` and `video_url` parts. The server tells formats by their content.
 * @param file bytes as they are in the file, or a `Blob` such as a browser's `File`
 * @param mediaType default: the blob's own, if it has one
 */
export async function toDataUri(file: Uint8Array | ArrayBuffer | Blob, mediaType?: string): Promise<string> {
  const bytes = file instanceof Uint8Array ? file : new Uint8Array(await bufferOf(file));
  const type = mediaType ?? ((file instanceof Blob && file.type) || 'application/octet-stream');
  const pieces = [`data:${type};base64,`];
  for (let from = 0; from < bytes.length; from += chunkBytes) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(from, from + chunkBytes))));
  }
  return pieces.join('');
}

async function bufferOf(file: unknown): Promise<ArrayBuffer> {
  if (file instanceof ArrayBuffer) return file;
  if (file instanceof Blob) return file.arrayBuffer();
  throw new RerankInputError('[data URI] the file is neither a Uint8Array nor an ArrayBuffer nor a Blob');
}
