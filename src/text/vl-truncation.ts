/** Ids at a prompt's end that the official code sets aside: `<|im_end|>`, LF, `<|im_start|>`, `assistant`, LF. */
export const officialTail = 5;

/** What a prompt consists of, in ids. */
export interface PromptCount {
  /** Structure and visual tokens, without the tail. */
  readonly special: number;
  /** Everything else, without the tail. */
  readonly text: number;
}

export function countIds(ids: Int32Array, special: ReadonlySet<number>, tail: number): PromptCount {
  let found = 0;
  const end = Math.max(0, ids.length - tail);
  for (let i = 0; i < end; i += 1) found += Number(special.has(ids[i]!));
  return { special: found, text: end - found };
}

/**
 * Cuts text from the end: the tail and all special ids stay, of the others the first `keep`.
 * source: QwenLM/Qwen3-VL-Embedding `qwen3_vl_reranker.py`, `truncate_tokens_optimized`
 */
export function cutText(ids: Int32Array, special: ReadonlySet<number>, tail: number, keep: number): Int32Array {
  const cut = new Int32Array(ids.length);
  const end = ids.length - tail;
  let length = 0;
  let kept = 0;
  for (let i = 0; i < end; i += 1) {
    const id = ids[i]!;
    if (kept >= keep && !special.has(id)) continue;
    if (!special.has(id)) kept += 1;
    cut[length++] = id;
  }
  cut.set(ids.subarray(end), length);
  return cut.slice(0, length + tail);
}
