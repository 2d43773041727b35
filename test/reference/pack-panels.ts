/**
 * packed[n / 32][k][n % 32] = w[n][k], zero where n is beyond the last row. Elements are moved, not computed with.
 * @param w [rows, k]
 * @returns ceil(rows / 32) panels of [k, 32]
 */
export function packPanels(w: ArrayLike<number>, rows: number, k: number): number[] {
  const packed: number[] = [];
  for (let panel = 0; panel * 32 < rows; panel++) {
    for (let i = 0; i < k; i++) {
      for (let n = panel * 32; n < panel * 32 + 32; n++) packed.push(n < rows ? w[n * k + i]! : 0);
    }
  }
  return packed;
}
