/** When a lost engine is started again, and when callers are no longer kept waiting for it. */
export interface RestartLimits {
  /** Losses without an answer between them that open the breaker. */
  readonly maxLosses: number;
  /** Losses of a running engine that lie further apart than this are unrelated. */
  readonly windowMs: number;
  /** Pause before the second start in a row; the first has none, each further one has twice the pause. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

export const defaultRestartLimits: RestartLimits = {
  maxLosses: 3,
  windowMs: 300_000,
  firstDelayMs: 200,
  maxDelayMs: 30_000,
};

/** More losses than this change neither the delay nor the breaker. */
const remembered = 32;

/** Counts the losses of an engine since it last answered. */
export class RestartPolicy {
  readonly #limits: RestartLimits;
  readonly #now: () => number;
  #losses: number[] = [];
  #excused = false;

  constructor(limits: Partial<RestartLimits> = {}, now = () => performance.now()) {
    this.#limits = { ...defaultRestartLimits, ...limits };
    this.#now = now;
  }

  /** Losses that count, since the last answer. */
  get losses(): number {
    return this.#losses.length;
  }

  /** Whether calls are refused until the engine is back. */
  get broken(): boolean {
    return this.losses >= this.#limits.maxLosses;
  }

  /** min(maxDelayMs, firstDelayMs · 2^(losses − 2)); nothing after the first loss. */
  get delayMs(): number {
    const { firstDelayMs, maxDelayMs } = this.#limits;
    return this.losses < 2 ? 0 : Math.min(maxDelayMs, firstDelayMs * 2 ** (this.losses - 2));
  }

  /**
   * A running engine was lost.
   * @param explained one call was alone on it and is known for it: the call fails and the engine is not to blame. That holds
   *   once until the engine answers again, or a device on which every call fails would be used for ever.
   */
  lostRunning(explained: boolean): void {
    const now = this.#now();
    if (explained && !this.#excused) {
      this.#excused = true;
      return;
    }
    this.#losses = this.#losses.filter((at) => now - at < this.#limits.windowMs);
    this.#add(now);
  }

  /** A start failed. Starts may take minutes, so that time does not make earlier ones unrelated. */
  lostStarting(): void {
    this.#add(this.#now());
  }

  answered(): void {
    this.#losses = [];
    this.#excused = false;
  }

  #add(at: number): void {
    this.#losses = [...this.#losses, at].slice(-remembered);
  }
}
