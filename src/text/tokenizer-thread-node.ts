import { Worker } from 'node:worker_threads';

import { WgrankError } from '../errors.ts';
import type { TokenizerFile } from './tokenizer-json.ts';
import type { PackedTokens, WorkerReport, WorkerStart, WorkerTask } from './tokenizer-protocol.ts';

/** What a thread tells its owner. After `onEnd` it says nothing more. */
export interface ThreadEvents {
  onReady(file: TokenizerFile): void;
  onDone(tokens: PackedTokens): void;
  /** The thread ended without being asked to: why, and whether it was ready before. */
  onEnd(error: WgrankError, wasReady: boolean): void;
}

/** One worker thread with a tokenizer. */
export class TokenizerThread {
  readonly #worker: Worker;
  #ready = false;
  #ended = false;

  /** @param entry the thread's file; tests pass one that fails */
  constructor(start: WorkerStart, events: ThreadEvents, entry: URL = workerEntry()) {
    this.#worker = new Worker(withLoader(entry), { workerData: start, execArgv: [], name: 'wgrank tokenizer' });
    this.#worker.on('message', (report: WorkerReport) => {
      if (this.#ended) return;
      if (report.kind === 'done') events.onDone(report.tokens);
      else if (report.kind === 'ready') {
        this.#ready = true;
        events.onReady(report.file);
      } else this.#end(events, new WgrankError(report.code, '', report.message));
    });
    this.#worker.on('error', (error) =>
      this.#end(events, ended(error instanceof Error ? error.message : String(error))),
    );
    this.#worker.on('exit', (code) => this.#end(events, ended(`exit code ${code}`)));
  }

  post(task: WorkerTask): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(task);
  }

  /** Ends the thread; `onEnd` is not called. */
  async stop(): Promise<void> {
    this.#ended = true;
    await this.#worker.terminate();
  }

  #end(events: ThreadEvents, error: WgrankError): void {
    if (this.#ended) return;
    void this.stop();
    events.onEnd(error, this.#ready);
  }
}

function ended(why: string): WgrankError {
  return new WgrankError('engine-stopped', 'tokenizer', `a tokenizer thread ended: ${why}`);
}

/** The worker has this file's own ending: .ts under tsx and vitest, .js in dist. */
function workerEntry(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? './tokenizer-worker-node.ts' : './tokenizer-worker-node.js',
    import.meta.url,
  );
}

/** A thread starts without its parent's loader, so a TypeScript file is imported behind a line that registers one. */
function withLoader(entry: URL): URL {
  if (!entry.pathname.endsWith('.ts')) return entry;
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const body = `import { register } from ${loader}; register(); await import(${JSON.stringify(entry.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(body)}`);
}
