/**
 * out = x / sqrt(mean(x^2) + eps) * weight, the mean over each row
 * @param x [rows, columns] with columns = weight.length
 */
export function rmsNorm(x: ArrayLike<number>, weight: ArrayLike<number>, eps: number): Float64Array {
  const columns = weight.length;
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += columns) {
    let mean = 0;
    for (let c = 0; c < columns; c++) mean += x[row + c]! ** 2 / columns;
    for (let c = 0; c < columns; c++) out[row + c] = (x[row + c]! / Math.sqrt(mean + eps)) * weight[c]!;
  }
  return out;
}
