/** Where the server names no time: half a second, then twice as long each time. */
const firstWaitMs = 500;
const longestWaitMs = 8000;
/** `setTimeout` fires at once for more. */
const longestTimerMs = 2 ** 31 - 1;
/** A server that names no time to speak of must not be asked in a loop. */
const leastWaitMs = 100;

/** Statuses that pass by themselves: the queue is full; the model is loading or is being started again. */
export const passes = (status: number): boolean => status === 429 || status === 503;

/** @returns milliseconds, from `retry-after-ms` or `Retry-After` in seconds or as a date; undefined without either */
export function readRetryAfter(headers: Headers, now: number): number | undefined {
  const inMs = headers.get('retry-after-ms');
  if (inMs !== null && isCount(inMs)) return Number(inMs);
  const after = headers.get('retry-after');
  if (after === null) return undefined;
  if (isCount(after)) return 1000 * Number(after);
  const at = Date.parse(after);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

const isCount = (text: string) => /^\s*\d+(\.\d+)?\s*$/.test(text);

/**
 * Clients that were refused together must not come back together: of its own time a client waits half to all, of the server's all
 * to a quarter more.
 * @param attempt 0 after the first one
 */
export function waitBefore(attempt: number, retryAfterMs: number | undefined, random: number): number {
  if (retryAfterMs !== undefined) return Math.max(retryAfterMs, leastWaitMs) * (1 + random / 4);
  return Math.min(firstWaitMs * 2 ** attempt, longestWaitMs) * (0.5 + random / 2);
}

/** Rejects with the signal's reason as soon as it is aborted. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', stop);
        resolve();
      },
      Math.min(ms, longestTimerMs),
    );
    signal.addEventListener('abort', stop, { once: true });
  });
}
