/** Learned positions, and the one token-type row. */
export interface LearnedPositions {
  readonly positions: ArrayLike<number>;
  readonly table: ArrayLike<number>;
  readonly tokenType: ArrayLike<number>;
}

/**
 * out[t, c] = table[ids[t], c] (+ positionTable[positions[t], c] + tokenType[c])
 * @param table [V, columns]
 * @returns [ids.length, columns]
 */
export function embedding(
  ids: ArrayLike<number>,
  table: ArrayLike<number>,
  columns: number,
  learned?: LearnedPositions,
): Float64Array {
  const out = new Float64Array(ids.length * columns);
  for (let t = 0; t < ids.length; t++) {
    for (let c = 0; c < columns; c++) {
      let value = table[ids[t]! * columns + c]!;
      if (learned) value += learned.table[learned.positions[t]! * columns + c]! + learned.tokenType[c]!;
      out[t * columns + c] = value;
    }
  }
  return out;
}
