/**
 * Tokens per second of busy time, as a moving average: work and time are summed, and both fade with the time that passes while
 * there is work. Idle time does not count.
 */
export class Throughput {
  readonly #fadeMs: number;
  #tokens = 0;
  #ms = 0;
  /** Until when time has been counted; undefined while idle. */
  #mark: number | undefined;

  /** @param fadeMs after which what was measured counts 1/e */
  constructor(fadeMs = 10_000) {
    this.#fadeMs = fadeMs;
  }

  /** Work begins; nothing was under way. */
  begin(now: number): void {
    this.#mark = now;
  }

  /** Nothing is under way any more. */
  rest(): void {
    this.#mark = undefined;
  }

  /** A piece of work has ended. @param tokens that were done; 0 when it failed */
  count(tokens: number, now: number): void {
    const ms = now - (this.#mark ?? now);
    const kept = Math.exp(-ms / this.#fadeMs);
    this.#tokens = this.#tokens * kept + tokens;
    this.#ms = this.#ms * kept + ms;
    this.#mark = now;
  }

  /** Work that hangs lets the figure sink. @returns undefined before anything was measured */
  perSecond(now: number): number | undefined {
    const ms = this.#ms + (this.#mark === undefined ? 0 : now - this.#mark);
    return this.#tokens > 0 && ms > 0 ? (this.#tokens / ms) * 1000 : undefined;
  }
}
