/** erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!: all terms of one sign, so nothing cancels. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3); 1 + tanh(u) as 2 / (1 + exp(-2u)), where nothing cancels */
export function geluTanh(x: number): number {
  const u = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  return x / (1 + Math.exp(-2 * u));
}

/**
 * out[r, c] = epilogue(x[r, c])
 * @param x [rows, columns] @param bias [columns] @param residual [rows, columns]
 */
export function elementwise(
  kind: 'none' | 'bias' | 'bias-gelu' | 'bias-gelu-tanh' | 'bias-tanh' | 'residual' | 'bias-residual',
  x: ArrayLike<number>,
  bias: ArrayLike<number>,
  residual: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const v = kind === 'none' || kind === 'residual' ? x[i]! : x[i]! + bias[i % bias.length]!;
    if (kind === 'bias-gelu') out[i] = 0.5 * v * (1 + erf(v / Math.SQRT2));
    else if (kind === 'bias-gelu-tanh') out[i] = geluTanh(v);
    else if (kind === 'bias-tanh') out[i] = Math.tanh(v);
    else if (kind === 'residual' || kind === 'bias-residual') out[i] = v + residual[i]!;
    else out[i] = v;
  }
  return out;
}
