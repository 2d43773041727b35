/**
 * out[r, n] = sum_k x[r, k] * weight[n, k]
 * @param x [rows, k] @param weight [n, k], as checkpoints store linear layers
 * @returns [rows, n]
 */
export function matmul(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  rows: number,
  n: number,
  k: number,
): Float64Array {
  const out = new Float64Array(rows * n);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[row * k + i]! * weight[column * k + i]!;
      out[row * n + column] = sum;
    }
  }
  return out;
}
