/**
 * out[r, c] = x[r, c] + sum_k weights[r, k] table[rows[r, k], c], four k
 * @param x [rows.length / 4, columns]
 */
export function interpolateRows(
  x: ArrayLike<number>,
  rows: ArrayLike<number>,
  weights: ArrayLike<number>,
  table: ArrayLike<number>,
  columns: number,
): Float64Array {
  const out = new Float64Array(x);
  for (let i = 0; i < out.length; i++) {
    const r = Math.floor(i / columns);
    for (let k = 4 * r; k < 4 * r + 4; k++) out[i]! += weights[k]! * table[rows[k]! * columns + (i % columns)]!;
  }
  return out;
}
