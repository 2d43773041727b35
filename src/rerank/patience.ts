import { WgrankError } from '../errors.ts';

/** `setTimeout` fires at once for more: who waits for a month waits for ever. */
const longestTimerMs = 2 ** 31 - 1;

/** How long a call is worth to go on: until its caller gives up, its time is over, or it has ended. */
export class Patience {
  readonly #gaveUp = new AbortController();
  readonly #endsAt: number;
  readonly #caller: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  #expired = false;

  /**
   * @param caller     its own signal
   * @param deadlineMs milliseconds from now; undefined: any time
   * @throws WgrankError `input-invalid`, and `deadline-exceeded` when no time is left
   */
  constructor(caller?: AbortSignal, deadlineMs?: number) {
    if (deadlineMs !== undefined && !(deadlineMs >= 0))
      throw new WgrankError('input-invalid', 'rerank', `deadlineMs is ${deadlineMs} (a number of at least 0)`);
    if (deadlineMs === 0) throw expired();
    this.#endsAt = performance.now() + (deadlineMs ?? Infinity);
    this.#caller = caller;
    if (caller?.aborted) this.giveUp();
    caller?.addEventListener('abort', this.giveUp, { once: true });
    const expire = () => {
      this.#expired = true;
      this.giveUp();
    };
    if (deadlineMs !== undefined && deadlineMs <= longestTimerMs) this.#timer = setTimeout(expire, deadlineMs);
  }

  /** Aborts what is done for the call. */
  get signal(): AbortSignal {
    return this.#gaveUp.signal;
  }

  /** Milliseconds, or undefined without a deadline. */
  get leftMs(): number | undefined {
    return this.#endsAt === Infinity ? undefined : Math.max(0, this.#endsAt - performance.now());
  }

  /** What is still encoded or scored is for nobody. */
  readonly giveUp = (): void => this.#gaveUp.abort();

  /** What ended the call, in its caller's terms: parts that were given up at the deadline say that they were cancelled. */
  explain(reason: unknown): unknown {
    const isCancelled = reason instanceof WgrankError && reason.code === 'cancelled';
    return isCancelled && this.#expired && this.#caller?.aborted !== true ? expired() : reason;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.giveUp);
  }
}

const expired = () => new WgrankError('deadline-exceeded', 'rerank', 'the time of the call is over');
