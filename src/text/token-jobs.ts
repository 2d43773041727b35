import type { WgrankError } from '../errors.ts';
import type { Keep, TextTokens, TokenizerInput } from './tokenizer-protocol.ts';

/** A task ends when it has this many texts or UTF-16 units (about 20 ms), so that a big request does not block small ones. */
const taskTexts = 64;
const taskUnits = 64 * 1024;

/** A piece of a job that one thread does at a time. */
export interface TokenTask {
  readonly job: TokenJob;
  /** Index of the first text in the job. */
  readonly first: number;
  readonly texts: readonly TokenizerInput[];
  /** How often a thread has begun it. */
  attempts: number;
}

/** Texts of one caller, cut into tasks. */
export class TokenJob {
  readonly keep: Keep;
  readonly waiting: TokenTask[] = [];
  readonly #results: TextTokens[];
  #missing: number;
  readonly #resolve: (tokens: TextTokens[]) => void;
  readonly reject: (error: WgrankError) => void;

  /** @param keep which ids to keep per text */
  constructor(
    texts: readonly TokenizerInput[],
    keep: Keep,
    resolve: (tokens: TextTokens[]) => void,
    reject: (error: WgrankError) => void,
  ) {
    this.keep = keep;
    this.#results = Array.from<TextTokens>({ length: texts.length });
    this.#missing = texts.length;
    this.#resolve = resolve;
    this.reject = reject;
    for (let first = 0; first < texts.length;) {
      let end = first;
      for (let units = 0; end < texts.length && end - first < taskTexts && units < taskUnits; end += 1)
        units += unitsOf(texts[end]!);
      this.waiting.push({ job: this, first, texts: texts.slice(first, end), attempts: 0 });
      first = end;
    }
  }

  /** Takes the tokens of one task. @returns true when the job is complete */
  finish(task: TokenTask, tokens: readonly TextTokens[]): boolean {
    tokens.forEach((text, index) => {
      this.#results[task.first + index] = text;
    });
    this.#missing -= tokens.length;
    if (this.#missing > 0) return false;
    this.#resolve(this.#results);
    return true;
  }
}

function unitsOf(input: TokenizerInput): number {
  return typeof input === 'string' ? input.length : input.text.length;
}

/** Open jobs. Tasks are handed out one per job in turn, so that every job moves on. */
export class TokenJobs {
  readonly #open = new Set<TokenJob>();
  /** Open jobs that have a waiting task, in the order of their turns. */
  readonly #turns: TokenJob[] = [];

  add(job: TokenJob): void {
    this.#open.add(job);
    if (job.waiting.length > 0) this.#turns.push(job);
  }

  next(): TokenTask | undefined {
    const job = this.#turns.shift();
    const task = job?.waiting.shift();
    if (job !== undefined && job.waiting.length > 0) this.#turns.push(job);
    return task;
  }

  /** Puts a task back that a thread did not finish. */
  retry(task: TokenTask): void {
    if (!this.#open.has(task.job)) return;
    task.job.waiting.unshift(task);
    if (!this.#turns.includes(task.job)) this.#turns.unshift(task.job);
  }

  finish(task: TokenTask, tokens: readonly TextTokens[]): void {
    if (this.#open.has(task.job) && task.job.finish(task, tokens)) this.#open.delete(task.job);
  }

  /** Rejects a job; what its threads still deliver is ignored. */
  fail(job: TokenJob, error: WgrankError): void {
    if (!this.#open.delete(job)) return;
    const turn = this.#turns.indexOf(job);
    if (turn >= 0) this.#turns.splice(turn, 1);
    job.reject(error);
  }

  failAll(error: WgrankError): void {
    for (const job of this.#open) this.fail(job, error);
  }
}
