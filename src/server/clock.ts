/** Time as the server sees it; tests bring their own. */
export interface Clock {
  /** Milliseconds that never go back; the zero is arbitrary. */
  now(): number;
  /** Runs once after a while, without keeping the process alive. @returns cancels it */
  after(ms: number, run: () => void): () => void;
}

/** The longest time that Node's timers count; more would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    // Rounded up: a timer that fires early would find its time not yet come.
    const timer = setTimeout(run, Math.min(Math.ceil(ms), longestTimerMs)).unref();
    return () => clearTimeout(timer);
  },
};
