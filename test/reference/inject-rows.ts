/**
 * out[t] = x[t] where rows[t] is below 0; else source[rows[t]], or x[t] + source[rows[t]] where rows are added
 * @param x [rows.length, columns] @param source [., columns]
 */
export function injectRows(
  x: ArrayLike<number>,
  rows: ArrayLike<number>,
  source: ArrayLike<number>,
  columns: number,
  mode: 'replace' | 'add',
): Float64Array {
  const out = new Float64Array(x);
  for (let t = 0; t < rows.length; t++) {
    if (rows[t]! < 0) continue;
    for (let c = 0; c < columns; c++) {
      const value = source[rows[t]! * columns + c]!;
      out[t * columns + c] = mode === 'add' ? out[t * columns + c]! + value : value;
    }
  }
  return out;
}
