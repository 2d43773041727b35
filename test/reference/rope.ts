/**
 * [a b] = norm(x[t, h]) · out[t, h] = [a cos - b sin, b cos + a sin] for the first `rotated` heads of a row, x elsewhere
 * @param x         [tokens, heads * size] @param positions [tokens]
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
): Float64Array {
  const out = new Float64Array(x);
  for (let t = 0; t < positions.length; t++) {
    for (let h = 0; h < rotated; h++) {
      const head = (t * heads + h) * size;
      if (norm) {
        let mean = 0;
        for (let d = 0; d < size; d++) mean += x[head + d]! ** 2 / size;
        for (let d = 0; d < size; d++) out[head + d]! *= norm.weight[d]! / Math.sqrt(mean + norm.eps);
      }
      for (let d = 0; d < size / 2; d++) {
        const [a, b] = [out[head + d]!, out[head + size / 2 + d]!];
        const cos = table[positions[t]! * size + d]!;
        const sin = table[positions[t]! * size + size / 2 + d]!;
        out[head + d] = a * cos - b * sin;
        out[head + size / 2 + d] = b * cos + a * sin;
      }
    }
  }
  return out;
}
