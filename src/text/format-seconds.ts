/**
 * Seconds with one digit, as Python's `.1f` writes them: the exact binary value is rounded, halves to even (0.25 → 0.2, 0.75 → 0.8).
 * `toFixed` rounds halves up, and the only halves that a double can hold end in .25 and .75.
 * @param seconds from 0, below 1e21
 */
export function formatSeconds(seconds: number): string {
  return seconds % 1 === 0.25 ? `${Math.floor(seconds)}.2` : seconds.toFixed(1);
}
