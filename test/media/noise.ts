/** Top bytes of x ← 1664525·x + 1013904223 mod 2³²; only 0 and 255 for every sixteenth seed. As in scripts/make-media-fixtures.py. */
export function noise(count: number, seed: number): Uint8Array {
  let state = seed;
  return new Uint8Array(count).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const value = state >>> 24;
    if (seed % 16 !== 0) return value;
    return value < 128 ? 0 : 255;
  });
}
