import { availableParallelism } from 'node:os';

import { WgrankError } from '../errors.ts';
import { TokenJob, TokenJobs } from './token-jobs.ts';
import type { TokenTask } from './token-jobs.ts';
import type { TokenizerFile } from './tokenizer-json.ts';
import { unpackTokens } from './tokenizer-protocol.ts';
import type { Keep, PackedTokens, TextTokens, TokenizerInput, WorkerStart } from './tokenizer-protocol.ts';
import { TokenizerThread } from './tokenizer-thread-node.ts';

export interface TokenizerPoolOptions {
  readonly modelDir: string;
  /** Threads; default one less than the cores, 1 to 4. */
  readonly workers?: number | undefined;
  /** File of the threads; tests pass one that fails. */
  readonly entry?: URL | undefined;
}

/** How often a task is tried when threads die over it. */
const taskAttempts = 2;
/** How many threads in a row may die before they are ready. */
const startAttempts = 3;

interface Lane {
  readonly thread: TokenizerThread;
  ready: boolean;
  task: TokenTask | null;
}

/** Worker threads that tokenise. The first one reads the folder, the others share what it read. */
export class TokenizerPool {
  readonly #options: TokenizerPoolOptions;
  readonly #lanes = new Set<Lane>();
  readonly #jobs = new TokenJobs();
  readonly #loaded: Promise<TokenizerFile>;
  #settleLoading!: { resolve: (file: TokenizerFile) => void; reject: (error: WgrankError) => void };
  #file: TokenizerFile | undefined;
  #failedStarts = 0;
  #stopped: WgrankError | null = null;

  constructor(options: TokenizerPoolOptions) {
    this.#options = options;
    this.#loaded = new Promise((resolve, reject) => {
      this.#settleLoading = { resolve, reject };
    });
    // Whoever waits sees the failure; nobody may be waiting when the pool is closed early.
    this.#loaded.catch(() => {});
    this.#addLane({ modelDir: options.modelDir });
  }

  /**
   * Waits for the first thread.
   * @throws WgrankError `tokenizer-invalid`; `engine-stopped` when the thread dies or the pool is closed
   */
  loaded(): Promise<TokenizerFile> {
    return this.#loaded;
  }

  /**
   * Tokenises texts without special tokens around them, in their order.
   * @param keep which ids to return per text; the count is that of the whole text
   * @throws WgrankError `cancelled` on abort; `engine-stopped` when the pool is closed or threads die over a text
   */
  tokenize(texts: readonly TokenizerInput[], keep: Keep, signal?: AbortSignal): Promise<TextTokens[]> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== null || signal?.aborted || texts.length === 0) {
        if (this.#stopped !== null) reject(this.#stopped);
        else if (signal?.aborted) reject(cancelled());
        else resolve([]);
        return;
      }
      const settled = new AbortController();
      const job = new TokenJob(
        texts,
        keep,
        (tokens) => {
          settled.abort();
          resolve(tokens);
        },
        (error) => {
          settled.abort();
          reject(error);
        },
      );
      signal?.addEventListener('abort', () => this.#jobs.fail(job, cancelled()), { signal: settled.signal });
      this.#jobs.add(job);
      this.#handOut();
    });
  }

  /** Ends the threads and rejects what is pending with `engine-stopped`. */
  async close(): Promise<void> {
    await this.#stop(new WgrankError('engine-stopped', 'tokenizer', 'the tokenizer is closed'));
  }

  async #stop(error: WgrankError): Promise<void> {
    this.#stopped ??= error;
    this.#settleLoading.reject(this.#stopped);
    this.#jobs.failAll(this.#stopped);
    const lanes = [...this.#lanes];
    this.#lanes.clear();
    await Promise.all(lanes.map(({ thread }) => thread.stop()));
  }

  #addLane(start: WorkerStart): void {
    const thread: TokenizerThread = new TokenizerThread(
      start,
      {
        onReady: (file) => this.#becameReady(lane, file),
        onDone: (tokens) => this.#finished(lane, tokens),
        onEnd: (error, wasReady) => this.#ended(lane, error, wasReady),
      },
      this.#options.entry,
    );
    const lane: Lane = { thread, ready: false, task: null };
    this.#lanes.add(lane);
  }

  #becameReady(lane: Lane, file: TokenizerFile): void {
    lane.ready = true;
    this.#failedStarts = 0;
    if (this.#file === undefined) {
      this.#file = file;
      const workers = this.#options.workers ?? Math.min(4, Math.max(1, availableParallelism() - 1));
      for (let i = 1; i < workers; i += 1) this.#addLane({ file });
      this.#settleLoading.resolve(file);
    }
    this.#handOut();
  }

  #finished(lane: Lane, tokens: PackedTokens): void {
    const task = lane.task;
    lane.task = null;
    if (task !== null) this.#jobs.finish(task, unpackTokens(tokens));
    this.#handOut();
  }

  #ended(lane: Lane, error: WgrankError, wasReady: boolean): void {
    this.#lanes.delete(lane);
    if (!wasReady) this.#failedStarts += 1;
    if (this.#file === undefined || this.#failedStarts >= startAttempts) {
      void this.#stop(error);
      return;
    }
    const { task } = lane;
    if (task !== null && task.attempts < taskAttempts) this.#jobs.retry(task);
    else if (task !== null) this.#jobs.fail(task.job, error);
    try {
      this.#addLane({ file: this.#file });
    } catch (reason) {
      // The system makes no more threads: those that there are go on.
      const detail = `no tokenizer thread can be started: ${reason instanceof Error ? reason.message : String(reason)}`;
      if (this.#lanes.size === 0) void this.#stop(new WgrankError('engine-stopped', 'tokenizer', detail));
      else this.#handOut();
    }
  }

  #handOut(): void {
    for (const lane of this.#lanes) {
      if (!lane.ready || lane.task !== null) continue;
      const task = this.#jobs.next();
      if (task === undefined) return;
      task.attempts += 1;
      lane.task = task;
      lane.thread.post({ texts: task.texts, keep: task.job.keep });
    }
  }
}

function cancelled(): WgrankError {
  return new WgrankError('cancelled', 'tokenizer', 'the caller gave up');
}
