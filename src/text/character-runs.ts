/** Spreads runs of `length in base 36` and `class in capital letters` (A = 0, Z = 25, AA = 26) over all code points. */
export function expandRuns(runs: string): Uint8Array {
  const classes = new Uint8Array(0x110000);
  let point = 0;
  for (const [, length, letters] of runs.matchAll(/([0-9a-z]+)([A-Z]+)/g)) {
    const end = point + parseInt(length!, 36);
    const high = letters!.length === 2 ? letters!.charCodeAt(0) - 64 : 0;
    classes.fill(26 * high + letters!.charCodeAt(letters!.length - 1) - 65, point, end);
    point = end;
  }
  return classes;
}
