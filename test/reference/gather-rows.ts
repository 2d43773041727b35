/**
 * out[s, c] = x[rows[s], c]
 * @param x [T, columns]
 * @returns [rows.length, columns]
 */
export function gatherRows(x: ArrayLike<number>, rows: ArrayLike<number>, columns: number): Float64Array {
  const out = new Float64Array(rows.length * columns);
  for (let s = 0; s < rows.length; s++) {
    for (let c = 0; c < columns; c++) out[s * columns + c] = x[rows[s]! * columns + c]!;
  }
  return out;
}
