/** Texts that begin and end differently: what prompts around them have in common is not the text's. */
export const probeTexts = ['x', 'q'] as const;

/** Ids that two prompts have in common at their beginning, and of the rest at their end. */
export function seamsOf(a: ArrayLike<number>, b: ArrayLike<number>): { headCount: number; tailCount: number } {
  const shorter = Math.min(a.length, b.length);
  let headCount = 0;
  while (headCount < shorter && a[headCount] === b[headCount]) headCount += 1;
  let tailCount = 0;
  while (tailCount < shorter - headCount && a[a.length - 1 - tailCount] === b[b.length - 1 - tailCount]) tailCount += 1;
  return { headCount, tailCount };
}
