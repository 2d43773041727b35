import { WgrankError } from '../errors.ts';

/** `overloaded`, and when it is worth to come back. */
export class OverloadedError extends WgrankError {
  /** How long the work that is in the way will take, in milliseconds; undefined before anything was measured. */
  readonly estimatedWaitMs: number | undefined;

  constructor(where: string, detail: string, estimatedWaitMs?: number) {
    super('overloaded', where, detail);
    this.estimatedWaitMs = estimatedWaitMs;
  }
}

/** The AI SDK and others take no longer waits than this at their word. */
const longestRetryMs = 60_000;
const shortestRetryMs = 100;
/** Where nothing was measured yet. */
const usualRetryMs = 2000;

/** `Retry-After` counts whole seconds; OpenAI's clients and the AI SDK read `retry-after-ms` first. */
export function retryHeaders(waitMs = usualRetryMs): { 'Retry-After': string; 'retry-after-ms': string } {
  const ms = Math.ceil(Math.min(Math.max(waitMs, shortestRetryMs), longestRetryMs));
  return { 'Retry-After': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(ms) };
}
