/** Query rows of one sequence, and the rows of its keys: `first` … `end` - 1. */
export interface Span {
  readonly queries: readonly [first: number, end: number];
  readonly keys: readonly [first: number, end: number];
}

/**
 * out[q, h] = sum_j p_j value[j, h] with p = softmax_j(scale * <query[q, h], key[j, h]>), j over the sequence's keys
 * @param query [Q, heads * size] @param keyValue [T, 2 * heads * size], a row's keys before its values
 */
export function attention(
  query: ArrayLike<number>,
  keyValue: ArrayLike<number>,
  spans: readonly Span[],
  heads: number,
  size: number,
  scale: number,
): Float64Array {
  const width = heads * size;
  const out = new Float64Array(query.length);
  for (const { queries, keys } of spans) {
    for (let q = queries[0]; q < queries[1]; q++) {
      for (let h = 0; h < heads; h++) {
        const scores: number[] = [];
        for (let j = keys[0]; j < keys[1]; j++) {
          let product = 0;
          for (let d = 0; d < size; d++)
            product += query[q * width + h * size + d]! * keyValue[2 * j * width + h * size + d]!;
          scores.push(scale * product);
        }
        const highest = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - highest));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        weights.forEach((weight, i) => {
          const value = (2 * (keys[0] + i) + 1) * width + h * size;
          for (let d = 0; d < size; d++) out[q * width + h * size + d]! += (weight / total) * keyValue[value + d]!;
        });
      }
    }
  }
  return out;
}
