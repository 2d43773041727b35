/** Where a patch lies: byte offsets of its first pixel in each frame, bytes from one row of pixels to the next. */
export interface PatchPlace {
  readonly frames: readonly number[];
  readonly rowBytes: number;
}

/**
 * out[p, c, f, y, x] = (byte - mean[c]) / std[c], byte = bytes[frames[f] + y rowBytes + 3x + c] of patch p
 * @param bytes pixels of RGB, any number of pictures one behind the other
 * @returns [patches, 3, frames, size, size]
 */
export function patchify(
  bytes: ArrayLike<number>,
  patches: readonly PatchPlace[],
  size: number,
  mean: readonly number[],
  std: readonly number[],
): Float64Array {
  const out: number[] = [];
  for (const { frames, rowBytes } of patches) {
    for (let c = 0; c < 3; c++) {
      for (const first of frames) {
        for (let y = 0; y < size; y++) {
          for (let x = 0; x < size; x++) {
            out.push((bytes[first + y * rowBytes + 3 * x + c]! - mean[c]!) / std[c]!);
          }
        }
      }
    }
  }
  return Float64Array.from(out);
}
