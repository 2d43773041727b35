/**
 * Counts the tokens that a batch pushes through the layers while sequences are added to it, one by one. With shared prefixes it
 * is an upper bound of what `groupByPrefix` comes to: it groups as it goes, and never takes a group back.
 */
export class TokenMeter {
  readonly #shares: boolean;
  #tokens = 0;
  #last: Int32Array | undefined;
  /** The open group: its sequences, and what they share. */
  #members = 0;
  #prefix = 0;

  /** @param shares whether sequences that begin alike share what they begin with */
  constructor(shares: boolean) {
    this.#shares = shares;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Tokens of the batch if this sequence joined it. */
  with(ids: Int32Array): number {
    return this.#tokens + this.#cost(ids).tokens;
  }

  /** Whether it would share what the latest sequences begin with: split off, that would be computed again. */
  shares(ids: Int32Array): boolean {
    return this.#cost(ids).prefix !== undefined;
  }

  add(ids: Int32Array): void {
    const { tokens, prefix } = this.#cost(ids);
    this.#tokens += tokens;
    this.#members = prefix === undefined ? 1 : this.#members + 1;
    this.#prefix = prefix ?? 0;
    this.#last = ids;
  }

  /** What a sequence adds, and the group's prefix if it joins it. */
  #cost(ids: Int32Array): { tokens: number; prefix?: number } {
    if (!this.#shares || !this.#last) return { tokens: ids.length };
    const most = this.#members === 1 ? Infinity : this.#prefix;
    const prefix = Math.min(most, sharedTokens(this.#last, ids));
    // The sequences in the group compute again what is no longer shared.
    const again = this.#members === 1 ? 0 : (this.#members - 1) * (this.#prefix - prefix);
    return prefix > again ? { tokens: ids.length - prefix + again, prefix } : { tokens: ids.length };
  }
}

/** Tokens that two sequences begin with, short of either's last: each keeps that for itself. */
export function sharedTokens(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length) - 1;
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
