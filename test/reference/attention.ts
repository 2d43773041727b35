/** Query rows of one sequence, and where its keys lie. */
export interface Asking {
  readonly queries: readonly [first: number, end: number];
  /** Rows of keyValue, by position in the sequence. */
  readonly keys: readonly number[];
  /** Query row first + i sees the positions up to horizon + i. */
  readonly horizon: number;
}

export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  /** Head size. */
  readonly size: number;
  readonly scale: number;
}

/**
 * out[q, h] = sum_j p_j value[j, g] with p = softmax_j(scale * <query[q, h], key[j, g]>), j over the positions that q sees,
 * g = floor(h * kvHeads / heads)
 * @param query [Q, heads * size] @param keyValue [T, 2 * kvHeads * size], a row's keys before its values
 */
export function attention(
  query: ArrayLike<number>,
  keyValue: ArrayLike<number>,
  asking: readonly Asking[],
  { heads, kvHeads, size, scale }: Heads,
): Float64Array {
  const out = new Float64Array(query.length);
  for (const { queries, keys, horizon } of asking) {
    for (let q = queries[0]; q < queries[1]; q++) {
      const seen = keys.filter((_, position) => position <= horizon + q - queries[0]);
      for (let h = 0; h < heads; h++) {
        const at = (q * heads + h) * size;
        const keyOf = (row: number) => (2 * row * kvHeads + Math.floor((h * kvHeads) / heads)) * size;
        const scores = seen.map((row) => {
          let product = 0;
          for (let d = 0; d < size; d++) product += query[at + d]! * keyValue[keyOf(row) + d]!;
          return scale * product;
        });
        const highest = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - highest));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        weights.forEach((weight, j) => {
          const value = keyOf(seen[j]!) + kvHeads * size;
          for (let d = 0; d < size; d++) out[at + d]! += (weight / total) * keyValue[value + d]!;
        });
      }
    }
  }
  return out;
}
