/** Ids at a prompt's end that the official code sets aside: `<|im_end|>`, LF, `<|im_start|>`, `assistant`, LF. */
export const officialTail = 5;

/** Which ids are in a set: 1 at each of them, because a prompt may have millions of ids to look up. */
export type IdMask = Uint8Array;

export function maskOf(ids: readonly number[]): IdMask {
  const mask = new Uint8Array(ids.reduce((most, id) => Math.max(most, id), 0) + 1);
  for (const id of ids) mask[id] = 1;
  return mask;
}

/** The ids of a prompt, or what of them may survive a cut. */
export interface PromptIds {
  readonly ids: Int32Array;
  /** Ids that the whole prompt has more, all of them text; when there are any, it has more text than can survive. */
  readonly left: number;
}

/** What a prompt consists of, in ids. */
export interface PromptCount {
  /** Structure and visual tokens, without the tail. */
  readonly special: number;
  /** Everything else, without the tail. */
  readonly text: number;
}

export function countIds(ids: Int32Array, special: IdMask, tail: number): PromptCount {
  let found = 0;
  const end = Math.max(0, ids.length - tail);
  for (let i = 0; i < end; i += 1) if (special[ids[i]!] === 1) found += 1;
  return { special: found, text: end - found };
}

/**
 * Cuts text from the end: the tail and all special ids stay, of the others the first `keep`.
 * source: QwenLM/Qwen3-VL-Embedding `qwen3_vl_reranker.py`, `truncate_tokens_optimized`
 */
export function cutText(ids: Int32Array, special: IdMask, tail: number, keep: number): Int32Array {
  const cut = new Int32Array(ids.length);
  const end = ids.length - tail;
  let length = 0;
  let kept = 0;
  for (let i = 0; i < end; i += 1) {
    const id = ids[i]!;
    if (special[id] !== 1) {
      if (kept >= keep) continue;
      kept += 1;
    }
    cut[length++] = id;
  }
  cut.set(ids.subarray(end), length);
  return cut.slice(0, length + tail);
}
