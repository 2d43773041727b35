import { WgrankError } from '../errors.ts';
import type { EnginePair } from '../rerank/engine.ts';

/** A call of `score` on its way, and back again when the process that had it was lost. */
export interface Call {
  readonly pairs: readonly EnginePair[];
  readonly tokens: number;
  readonly signal: AbortSignal | undefined;
  /** Processes that were lost while they had this call. */
  losses: number;
  resolve(logits: Float32Array): void;
  reject(error: Error): void;
}

/** What became of the calls of a lost process. */
export interface Returned {
  readonly repeated: number;
  readonly failed: number;
  /** The only call was known from earlier losses: the loss is its doing. */
  readonly explained: boolean;
}

/**
 * Calls that wait for a process, in order of arrival. A call is repeated `maxReplays` times at the most, the last time with the
 * process for itself, so that it is known whether the process ends for its sake: its neighbours are never failed with it.
 */
export class ReplayQueue {
  readonly #maxReplays: number;
  readonly #onAbort: (call: Call) => void;
  #waiting: Call[] = [];

  /** @param onAbort hears of calls whose caller gave up, after their rejection */
  constructor(maxReplays: number, onAbort: (call: Call) => void) {
    this.#maxReplays = maxReplays;
    this.#onAbort = onAbort;
  }

  /** Adds a call. @returns its outcome */
  add(pairs: readonly EnginePair[], signal: AbortSignal | undefined): Promise<Float32Array> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== call);
        call.reject(new WgrankError('cancelled', 'engine', 'the caller gave up'));
        this.#onAbort(call);
      };
      const done = () => signal?.removeEventListener('abort', abort);
      const call: Call = {
        pairs,
        tokens: pairs.reduce((sum, { ids }) => sum + ids.length, 0),
        signal,
        losses: 0,
        resolve: (logits) => (done(), resolve(logits)),
        reject: (error) => (done(), reject(error)),
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(call);
    });
  }

  /** Takes the next call that may be sent to a process. @param other one that it has already */
  take(other: Call | undefined): Call | undefined {
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    if (other !== undefined && (this.#isSuspect(next) || this.#isSuspect(other))) return undefined;
    return this.#waiting.shift();
  }

  /** Takes the calls of a lost process back, ahead of all others; those that were repeated often enough fail. */
  takeBack(calls: readonly Call[], reason: string): Returned {
    const explained = calls.length === 1 && this.#isSuspect(calls[0]!);
    for (const call of calls) call.losses++;
    const repeated = calls.filter((call) => call.losses <= this.#maxReplays);
    for (const call of calls) if (call.losses > this.#maxReplays) call.reject(exhausted(call, reason));
    this.#waiting.unshift(...repeated);
    return { repeated: repeated.length, failed: calls.length - repeated.length, explained };
  }

  rejectAll(error: Error): void {
    for (const call of this.#waiting.splice(0)) call.reject(error);
  }

  #isSuspect({ losses }: Call): boolean {
    return losses > 0 && losses >= this.#maxReplays;
  }
}

function exhausted({ losses }: Call, reason: string): WgrankError {
  const detail = `every process that had this call was lost, ${losses} in all; the last one: ${reason} (not repeated)`;
  return new WgrankError('gpu-error', 'engine', detail);
}
