import type { Clock } from '../../src/server/clock.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Lets everything run that waits for nothing but promises. */
export const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Time that moves only when it is told to. */
export class FakeClock implements Clock {
  readonly timers = new Set<Timer>();
  #now = 1000;

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Runs the timers that fall due, in their order, and what they let go on. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await flush();
    for (let timer = this.#first(end); timer; timer = this.#first(end)) {
      this.timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.run();
      await flush();
    }
    this.#now = end;
  }

  /** As a busy event loop has it: time goes by, and timers are late. */
  skip(ms: number): void {
    this.#now += ms;
  }

  #first(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) if (timer.at <= end && timer.at < (first?.at ?? Infinity)) first = timer;
    return first;
  }
}
