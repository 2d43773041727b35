import { Worker } from 'node:worker_threads';
import { takeTurn } from '../text/long-work.ts';
import { WgrankError } from '../errors.ts';
import { neighbour, threadEntry } from '../process/start-module-node.ts';
import { HttpRefusal } from './error-answer.ts';
import type { JsonLimits } from './json-parse.ts';
import { putBack, type JsonBuild } from './json-pieces.ts';
import type { JsonCommand, JsonReport } from './json-protocol.ts';

export interface JsonThreadOptions {
  readonly limits: JsonLimits;
  /** Of a body: what the thread's memory is measured by. */
  readonly maxBodyBytes: number;
  /** Longest time for one body, and for the start, before the thread is ended. Default 30,000 ms; 64 MiB take 2 s of a slow processor. */
  readonly limitMs?: number;
  /** The thread ends, and its memory comes back, when there was nothing to do for so long. Default 10,000 ms. */
  readonly idleMs?: number;
  /** File of the thread; tests pass one that fails. */
  readonly entry?: URL;
}

interface Job {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly signal: AbortSignal;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Running {
  readonly job: Job;
  readonly timer: NodeJS.Timeout;
  build?: JsonBuild;
  /** Texts that were put back. */
  texts: number;
  pieces: number;
}

/**
 * Parses large bodies in a thread, one after the other. A thread that dies, or takes too long, fails the body that it worked on; the
 * next one has a new thread. The thread is there from the first body on, and while there are some.
 */
export class JsonThread {
  readonly #options: JsonThreadOptions;
  readonly #waiting: Job[] = [];
  #worker: Worker | undefined;
  #running: Running | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: JsonThreadOptions) {
    this.#options = options;
  }

  /**
   * @param bytes their memory goes to the thread: they are empty afterwards
   * @throws HttpRefusal 400 as `parseJson`, 503 when the thread ends; WgrankError `cancelled` on abort, `engine-stopped` when closed
   */
  parse(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closed());
      if (signal.aborted) return reject(cancelled());
      const settled = new AbortController();
      const job: Job = {
        bytes,
        signal,
        resolve: (value) => (settled.abort(), resolve(value)),
        reject: (error) => (settled.abort(), reject(error)),
      };
      signal.addEventListener('abort', () => this.#abandon(job), { once: true, signal: settled.signal });
      this.#waiting.push(job);
      this.#next();
    });
  }

  /** Ends the thread; whoever waits is refused with `engine-stopped`. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
    this.#settle()?.job.reject(closed());
    await this.#endThread();
  }

  #next(): void {
    if (this.#running !== undefined || this.#closed) return;
    const job = this.#waiting.shift();
    clearTimeout(this.#idle);
    if (job === undefined) {
      this.#worker?.unref();
      this.#idle = setTimeout(() => void this.#endThread(), this.#options.idleMs ?? 10_000).unref();
      return;
    }
    const { limitMs = 30_000, limits } = this.#options;
    const timer = setTimeout(() => this.#died(`it takes more than ${limitMs} ms`), limitMs);
    this.#running = { job, timer, texts: 0, pieces: 0 };
    try {
      this.#worker ??= this.#start();
    } catch (error) {
      this.#settle()?.job.reject(dead(error instanceof Error ? error.message : String(error)));
      setImmediate(() => this.#next());
      return;
    }
    this.#worker.ref();
    this.#tell({ kind: 'parse', bytes: job.bytes, limits }, [job.bytes.buffer]);
  }

  #start(): Worker {
    const worker = new Worker(threadEntry(this.#options.entry ?? neighbour(import.meta.url, 'json-worker')), {
      execArgv: [],
      name: 'wgrank json',
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes(this.#options.maxBodyBytes) },
    });
    const died = (why: string) => {
      if (worker === this.#worker) this.#died(why);
    };
    worker.on('message', (report: JsonReport) => {
      if (worker === this.#worker) this.#hear(report);
    });
    worker.on('error', (error) => died(error instanceof Error ? error.message : String(error)));
    worker.on('exit', (code) => died(`exit code ${code}`));
    return worker;
  }

  #hear(report: JsonReport): void {
    const running = this.#running;
    if (running === undefined) return;
    if (report.kind === 'begun') {
      running.timer.refresh();
      return;
    }
    if (report.kind === 'refused') {
      this.#settle()?.job.reject(new HttpRefusal(report.status, report.message));
    } else if (running.job.signal.aborted) {
      this.#tell({ kind: 'drop' });
      this.#settle();
    } else if (report.kind === 'build') {
      running.build = report.build;
      running.pieces = report.pieces;
      return this.#askForPiece(running);
    } else {
      putBack(running.build!, running.texts, report.texts);
      running.texts += report.texts.length;
      running.pieces--;
      return this.#askForPiece(running);
    }
    this.#next();
  }

  /** Each piece has a turn of the event loop to itself. */
  #askForPiece(running: Running): void {
    void takeTurn().then(() => {
      if (running !== this.#running) return;
      if (running.pieces > 0) return this.#tell({ kind: 'next' });
      this.#settle();
      running.job.resolve(running.build!.root.value);
      this.#next();
    });
  }

  /** What waits leaves; what runs is soon done, and then dropped. */
  #abandon(job: Job): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    job.reject(cancelled());
  }

  #settle(): Running | undefined {
    const running = this.#running;
    clearTimeout(running?.timer);
    this.#running = undefined;
    return running;
  }

  #died(why: string): void {
    void this.#endThread();
    this.#settle()?.job.reject(dead(why));
    this.#next();
  }

  async #endThread(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #tell(command: JsonCommand, transfer: ArrayBuffer[] = []): void {
    this.#worker!.postMessage(command, transfer);
  }
}

/** A body of one odd character is four times its bytes while it is parsed: the text and its copy in the value, of two bytes each. */
function heapMegabytes(maxBodyBytes: number): number {
  return 64 + Math.ceil((6 * maxBodyBytes) / 2 ** 20);
}

const dead = (why: string) =>
  new WgrankError('engine-stopped', 'server', `a request body could not be parsed: its thread ended: ${why}`);
const cancelled = () => new WgrankError('cancelled', 'server', 'the client has gone');
const closed = () => new WgrankError('engine-stopped', 'server', 'the server is closed');
