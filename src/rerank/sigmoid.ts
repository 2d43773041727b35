/** 1 / (1 + e^−x), in f64. A logit becomes a probability here and nowhere else. */
export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
