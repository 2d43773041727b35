/**
 * out[s] = <x[s], weight> + bias
 * @param x [S, weight.length]
 */
export function head(x: ArrayLike<number>, weight: ArrayLike<number>, bias: number): Float64Array {
  const columns = weight.length;
  const out = new Float64Array(x.length / columns);
  for (let s = 0; s < out.length; s++) {
    let sum = bias;
    for (let c = 0; c < columns; c++) sum += x[s * columns + c]! * weight[c]!;
    out[s] = sum;
  }
  return out;
}
