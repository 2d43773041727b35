/**
 * out = (x - mean) / sqrt(variance + eps) * weight + bias, mean and population variance of each row
 * @param x [rows, columns] with columns = weight.length
 */
export function layerNorm(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  eps: number,
): Float64Array {
  const columns = weight.length;
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += columns) {
    let mean = 0;
    for (let c = 0; c < columns; c++) mean += x[row + c]! / columns;
    let variance = 0;
    for (let c = 0; c < columns; c++) variance += (x[row + c]! - mean) ** 2 / columns;
    for (let c = 0; c < columns; c++) {
      out[row + c] = ((x[row + c]! - mean) / Math.sqrt(variance + eps)) * weight[c]! + bias[c]!;
    }
  }
  return out;
}
