import type { ChildProcess } from 'node:child_process';
import { forkEngine } from './fork-engine.ts';

/**
 * Keeps one more engine process than is in use, so that a lost one is replaced without the time that a process takes to boot. It has
 * read its modules and does nothing: no device, no model, no timer, about 13 MB of memory of its own. One that dies is not missed
 * before the next engine runs.
 */
export class EngineStandby {
  readonly #onLine: ((line: string) => void) | undefined;
  #child: ChildProcess | undefined;
  /** What was asked for last; undefined before that. */
  #last: { readonly engineModule: URL | undefined } | undefined;
  #closed = false;

  /** @param onLine hears what its processes print; default: it goes to stderr */
  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Process id of what stands by, if anything does. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Hands over what stands by, however far it has come, or starts a process. Whoever takes it has to end it. */
  take(engineModule: URL | undefined): ChildProcess {
    const standing = this.#child;
    const fits = this.#last?.engineModule?.href === engineModule?.href;
    this.#last = { engineModule };
    if (standing === undefined) return forkEngine(engineModule, this.#onLine);
    this.#forget(standing);
    if (fits) return standing;
    standing.kill('SIGKILL');
    return forkEngine(engineModule, this.#onLine);
  }

  /** Starts the like of what was taken last, unless one stands by. */
  prepare(): void {
    if (this.#closed || this.#last === undefined || this.#child !== undefined) return;
    let child;
    try {
      child = forkEngine(this.#last.engineModule, this.#onLine);
    } catch {
      // What is short of processes or memory does without.
      return;
    }
    this.#child = child;
    child.once('exit', this.#lost);
    child.once('error', this.#lost);
  }

  /** Ends what stands by, and waits until it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    const child = this.#child;
    if (child === undefined) return;
    this.#forget(child);
    const ended = new Promise((resolve) => {
      child.once('exit', resolve);
      // It could not even be started.
      child.once('error', resolve);
    });
    child.kill('SIGKILL');
    await ended;
  }

  readonly #lost = () => {
    this.#child = undefined;
  };

  #forget(child: ChildProcess): void {
    this.#child = undefined;
    child.off('exit', this.#lost);
    child.off('error', this.#lost);
  }
}
