/** How much longer than known from its answers an engine may take. */
const patience = 10;
/** Part of a wait that is not the tokens' doing: the way between the processes, launches, a busy machine. */
const overheadMs = 100;
/** The slowest pace seen is trusted half as much after this time. */
const halfLifeMs = 600_000;

export interface HangWatchOptions {
  /** Shortest silence that may be called a hang; ten times as long before the first answer, when nothing is known yet. */
  readonly hangMs: number;
  /** Tokens that work of calls which were given up can amount to: batches that run already are not stopped. */
  readonly abandonedTokens: number;
  /** Asks the engine for a sign of life, when nothing but given-up calls is left to be waited for. */
  probe(): void;
  /** Milliseconds for each token, from an engine before this one. */
  readonly msPerToken?: number | undefined;
}

interface Outstanding {
  readonly tokens: number;
  /** On the watch's own clock. */
  readonly since: number;
  abandoned: boolean;
}

/**
 * Tells a hung engine from a busy one. Silence is the time since the last answer, or since the oldest call that still waits was
 * sent; a hang is silence longer than
 *
 *   max(hangMs, 10 · (milliseconds for each token, the slowest of late) · (tokens in flight))
 *
 * The clock does not count the time during which this process itself was held up.
 */
export class HangWatch {
  /** Resolves with a sentence when the engine hangs. */
  readonly hung: Promise<string>;
  readonly #options: HangWatchOptions;
  readonly #calls = new Map<number, Outstanding>();
  readonly #tickMs: number;
  #report!: (sentence: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #next = 1;
  #clock = 0;
  #read = performance.now();
  #answeredAt = 0;
  #msPerToken: number | undefined;

  constructor(options: HangWatchOptions) {
    this.#options = options;
    this.#msPerToken = options.msPerToken;
    this.#tickMs = Math.min(1000, Math.max(10, options.hangMs / 8));
    this.hung = new Promise((resolve) => (this.#report = resolve));
  }

  /** The slowest pace of late; undefined before the first answer. */
  get msPerToken(): number | undefined {
    return this.#msPerToken;
  }

  /** Longest silence that is no hang, in ms. */
  get limitMs(): number {
    const { hangMs } = this.#options;
    if (this.#msPerToken === undefined) return patience * hangMs;
    return Math.max(hangMs, patience * this.#msPerToken * this.#tokens());
  }

  /** @returns a number for `answered`, `refused` and `abandoned` */
  sent(tokens: number): number {
    this.#advance();
    const ticket = this.#next++;
    this.#calls.set(ticket, { tokens, since: this.#clock, abandoned: false });
    this.#timer ??= setInterval(() => this.#tick(), this.#tickMs);
    return ticket;
  }

  /** The GPU answered: learns its pace. Batches run in order, so what was given up before this call was sent is done too. */
  answered(ticket: number): void {
    if (!this.#calls.has(ticket)) return;
    this.#advance();
    const pace = Math.max(0, this.#silence() - overheadMs) / this.#tokens();
    const faded = (this.#msPerToken ?? 0) * 0.5 ** ((this.#clock - this.#answeredAt) / halfLifeMs);
    this.#msPerToken = Math.max(pace, faded);
    this.#answeredAt = this.#clock;
    for (const [earlier, { abandoned }] of this.#calls) if (abandoned && earlier < ticket) this.#calls.delete(earlier);
    this.refused(ticket);
  }

  /** The engine answered without the GPU's help. */
  refused(ticket: number): void {
    this.#calls.delete(ticket);
    if (this.#calls.size === 0) this.stop();
  }

  /** The caller gave up, and the GPU may be at it still. */
  abandoned(ticket: number): void {
    const call = this.#calls.get(ticket);
    if (call !== undefined) call.abandoned = true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#advance();
    const silence = this.#silence();
    if (silence > this.limitMs) {
      this.stop();
      this.#report(`no answer for ${(silence / 1000).toFixed(1)} s with ${this.#tokens()} tokens in flight`);
    } else if ([...this.#calls.values()].every(({ abandoned }) => abandoned)) {
      this.#options.probe();
    }
  }

  /** A gap between two readings that is longer than two ticks was this process's own. */
  #advance(): void {
    const now = performance.now();
    this.#clock += Math.min(now - this.#read, 2 * this.#tickMs);
    this.#read = now;
  }

  #silence(): number {
    const [oldest] = this.#calls.values();
    return this.#clock - Math.max(this.#answeredAt, oldest?.since ?? this.#clock);
  }

  /** At least 1. */
  #tokens(): number {
    let live = 1;
    let given = 0;
    for (const { tokens, abandoned } of this.#calls.values()) {
      if (abandoned) given += tokens;
      else live += tokens;
    }
    return live + Math.min(given, this.#options.abandonedTokens);
  }
}
