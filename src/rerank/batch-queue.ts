import { WgrankError } from '../errors.ts';
import { TokenMeter } from '../nn/token-meter.ts';
import type { Sequence } from './visual-pairs.ts';

/** One caller's pairs on their way through the batches. */
export interface Job {
  readonly pairs: readonly Sequence[];
  readonly logits: Float32Array;
  /** Pairs taken into batches so far, and pairs answered. */
  taken: number;
  answered: number;
  /** Settled jobs take part in no further batch; what is on the GPU for them is dropped. */
  settled: boolean;
  readonly resolve: (logits: Float32Array) => void;
  readonly reject: (reason: Error) => void;
}

/** A pair of a job. */
export interface Ticket {
  readonly job: Job;
  readonly index: number;
}

/**
 * Jobs in order of arrival, cut into batches by a token budget: a batch may hold pairs of several jobs, and a job may span
 * several batches.
 */
export class BatchQueue {
  readonly #jobs: Job[] = [];

  push(job: Job): void {
    this.#jobs.push(job);
  }

  /** Pairs and tokens that no batch has taken yet. */
  get waiting(): { pairs: number; tokens: number } {
    let pairs = 0;
    let tokens = 0;
    for (const { pairs: all, taken, settled } of this.#jobs) {
      for (let i = settled ? all.length : taken; i < all.length; i++) {
        pairs++;
        tokens += all[i]!.ids.length;
      }
    }
    return { pairs, tokens };
  }

  /**
   * Takes the next batch.
   * @param tokens budget of the batch; a longer pair makes a batch of its own
   * @param pairs  pairs of the batch at the most
   * @param meter  counts the tokens of the batch
   * @param most   tokens that there is room for: pairs that share the batch's last prefix may use them
   */
  take(tokens: number, pairs: number, meter = new TokenMeter(false), most = tokens): Ticket[] {
    const tickets: Ticket[] = [];
    for (;;) {
      const job = this.#jobs[0];
      if (!job) return tickets;
      if (job.settled || job.taken === job.pairs.length) {
        this.#jobs.shift();
        continue;
      }
      const { ids } = job.pairs[job.taken]!;
      const budget = meter.shares(ids) ? most : tokens;
      if (tickets.length === pairs || (tickets.length > 0 && meter.with(ids) > budget)) return tickets;
      tickets.push({ job, index: job.taken++ });
      meter.add(ids);
    }
  }

  /** Rejects whatever waits or is on its way. @param also jobs whose pairs are all taken but not yet answered */
  rejectAll(reason: Error, also: Iterable<Job>): void {
    for (const job of [...this.#jobs.splice(0), ...also]) settle(job, reason);
  }
}

/** Ends a job once. */
export function settle(job: Job, outcome: Float32Array | Error): void {
  if (job.settled) return;
  job.settled = true;
  if (outcome instanceof Error) job.reject(outcome);
  else job.resolve(outcome);
}

/** Writes a batch's answers into their jobs. A logit that is not finite fails its own job and no other. */
export function answer(tickets: readonly Ticket[], logits: Float32Array): void {
  tickets.forEach(({ job, index }, i) => {
    const logit = logits[i]!;
    if (!Number.isFinite(logit)) {
      const ids = job.pairs[index]!.ids.length;
      settle(
        job,
        new WgrankError(
          'numeric-range',
          'engine',
          `the logit of pair ${index} (${ids} tokens) is ${logit} (expected a finite number)`,
        ),
      );
      return;
    }
    job.logits[index] = logit;
    if (++job.answered === job.pairs.length) settle(job, job.logits);
  });
}
