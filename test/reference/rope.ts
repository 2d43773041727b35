/** Which of a token's positions turns which frequency; `sections` as long as an axis takes part. */
export type Axes =
  | { readonly kind: 'one' }
  | { readonly kind: 'interleaved'; readonly sections: readonly [number, number, number] }
  | { readonly kind: 'row-column' };

/** The axis of frequency i of `half`. */
function axisOf(axes: Axes, i: number, half: number): number {
  if (axes.kind === 'row-column') return i < half / 2 ? 0 : 1;
  if (axes.kind === 'interleaved' && i % 3 > 0 && i < 3 * axes.sections[i % 3]!) return i % 3;
  return 0;
}

/**
 * [a b] = norm(x[t, h]) · out[t, h] = [a cos - b sin, b cos + a sin] for the first `rotated` heads of a row, x elsewhere
 * @param x         [tokens, heads * size] @param positions [tokens, 1, 3 or 2]
 * @param table     [., size], a row's cosines before its sines
 * @param norm      RMSNorm of each head before it is turned, weight [size]
 */
export function rope(
  x: ArrayLike<number>,
  positions: ArrayLike<number>,
  table: ArrayLike<number>,
  size: number,
  heads: number,
  rotated: number,
  norm?: { readonly weight: ArrayLike<number>; readonly eps: number },
  axes: Axes = { kind: 'one' },
): Float64Array {
  const out = new Float64Array(x);
  const count = { one: 1, interleaved: 3, 'row-column': 2 }[axes.kind];
  for (let t = 0; t < positions.length / count; t++) {
    for (let h = 0; h < rotated; h++) {
      const head = (t * heads + h) * size;
      if (norm) {
        let mean = 0;
        for (let d = 0; d < size; d++) mean += x[head + d]! ** 2 / size;
        for (let d = 0; d < size; d++) out[head + d]! *= norm.weight[d]! / Math.sqrt(mean + norm.eps);
      }
      for (let d = 0; d < size / 2; d++) {
        const [a, b] = [out[head + d]!, out[head + size / 2 + d]!];
        const position = positions[t * count + axisOf(axes, d, size / 2)]!;
        const cos = table[position * size + d]!;
        const sin = table[position * size + size / 2 + d]!;
        out[head + d] = a * cos - b * sin;
        out[head + size / 2 + d] = b * cos + a * sin;
      }
    }
  }
  return out;
}
