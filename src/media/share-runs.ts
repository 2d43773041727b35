import { Slots } from './slots.ts';
import { cancelled } from './source-limits.ts';

interface Run<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  callers: number;
}

/** Runs of the same name are one run while it lasts, and only so many go on at a time; the others wait in order. */
export class ShareRuns<T> {
  readonly #slots: Slots;
  readonly #runs = new Map<string, Run<T>>();

  constructor(limit: number) {
    this.#slots = new Slots(limit);
  }

  /**
   * Starts a run, or joins the one of this name. A caller that gives up leaves the run to the others; it is stopped when
   * nobody wants it any more.
   * @throws WgrankError `cancelled`, or what the run throws
   */
  join(name: string, start: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(cancelled());
    const run = this.#runs.get(name) ?? this.#begin(name, start);
    run.callers += 1;
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        reject(cancelled());
        run.callers -= 1;
        if (run.callers > 0) return;
        if (this.#runs.get(name) === run) this.#runs.delete(name);
        run.controller.abort();
      };
      signal?.addEventListener('abort', leave, { once: true });
      const stay = (): void => signal?.removeEventListener('abort', leave);
      run.result.then(
        (value) => (stay(), resolve(value)),
        (error: unknown) => (stay(), reject(error)),
      );
    });
  }

  #begin(name: string, start: (signal: AbortSignal) => Promise<T>): Run<T> {
    const controller = new AbortController();
    const result = this.#hold(controller.signal, start).finally(() => {
      if (this.#runs.get(name) === run) this.#runs.delete(name);
    });
    const run: Run<T> = { result, controller, callers: 0 };
    this.#runs.set(name, run);
    return run;
  }

  async #hold(signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (!(await this.#slots.take(signal))) throw cancelled();
    try {
      return await start(signal);
    } finally {
      this.#slots.release();
    }
  }
}
