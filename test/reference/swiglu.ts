/**
 * out = silu(gate) * up with silu(v) = v / (1 + exp(-v))
 * @param x [rows, 2 * columns], a row's gate before its up
 */
export function swiglu(x: ArrayLike<number>, columns: number): Float64Array {
  const out = new Float64Array(x.length / 2);
  for (let row = 0; row < out.length; row += columns) {
    for (let c = 0; c < columns; c++) {
      const gate = x[2 * row + c]!;
      out[row + c] = (gate / (1 + Math.exp(-gate))) * x[2 * row + columns + c]!;
    }
  }
  return out;
}
