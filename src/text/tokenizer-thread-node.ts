import { Worker } from 'node:worker_threads';

import { WgrankError } from '../errors.ts';
import { neighbour, threadEntry } from '../process/start-module-node.ts';
import { takeTurn } from './long-work.ts';
import type { TokenizerFile } from './tokenizer-json.ts';
import type { PackedTokens, WorkerCommand, WorkerReport, WorkerStart, WorkerTask } from './tokenizer-protocol.ts';

/** UTF-16 units of a text that are handed over at once. */
const pieceUnits = 2 ** 18;

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
  constructor(
    start: WorkerStart,
    events: ThreadEvents,
    entry: URL = neighbour(import.meta.url, 'tokenizer-worker-node'),
  ) {
    this.#worker = new Worker(threadEntry(entry), { workerData: start, execArgv: [], name: 'wgrank tokenizer' });
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

  /** A long text, which is a task's last, is handed over in pieces, with turns of the event loop in between: 16 MB hold it for 100 ms. */
  post(task: WorkerTask): void {
    const last = task.texts.at(-1)!;
    const text = typeof last === 'string' ? last : last.text;
    if (text.length > pieceUnits) void this.#postPieces(task, text);
    else this.#tell(task);
  }

  async #postPieces({ texts, keep }: WorkerTask, text: string): Promise<void> {
    for (let at = 0; at < text.length; at += pieceUnits) {
      this.#tell({ piece: text.slice(at, at + pieceUnits) });
      await takeTurn();
      if (this.#ended) return;
    }
    const last = texts.at(-1)!;
    const rest = typeof last === 'string' ? '' : { text: '', plain: last.plain };
    this.#tell({ texts: [...texts.slice(0, -1), rest], keep });
  }

  #tell(command: WorkerCommand): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(command);
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
