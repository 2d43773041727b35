/** The words after every 1,024th has become 0. */
export function touchPages(words: ArrayLike<number>): Uint32Array {
  const out = Uint32Array.from(words);
  for (let at = 0; at < out.length; at += 1024) out[at] = 0;
  return out;
}
