import type { Picture } from './clip.ts';

/** @param degrees clockwise */
export function turnPicture({ rgb, width, height }: Picture, degrees: 0 | 90 | 180 | 270): Picture {
  if (degrees === 0) return { rgb, width, height };
  // Where the first pixel goes, and how far its neighbours along the row and down the column lie from there.
  const [first, along, down] = {
    90: [height - 1, height, -1] as const,
    180: [width * height - 1, -1, -width] as const,
    270: [(width - 1) * height, -height, 1] as const,
  }[degrees];
  const turned = new Uint8Array(rgb.length);
  for (let y = 0, from = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const to = (first + x * along + y * down) * 3;
      turned[to] = rgb[from++]!;
      turned[to + 1] = rgb[from++]!;
      turned[to + 2] = rgb[from++]!;
    }
  return degrees === 180 ? { rgb: turned, width, height } : { rgb: turned, width: height, height: width };
}
