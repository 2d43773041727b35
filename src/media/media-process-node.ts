import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { WgrankError } from '../errors.ts';
import { checkPicture } from './check-picture.ts';
import type { EncodedMedia } from './encoded-media.ts';
import {
  picturesOf,
  taskBytes,
  timeLimit,
  type MediaCommand,
  type MediaReport,
  type MediaTask,
} from './media-protocol.ts';
import type { MediaRules } from './media-rules.ts';

/**
 * A process that says nothing is killed this much after its time, and after the time that the bytes take to travel. It says
 * itself when it is late, but not while it resizes, which takes half a second of a processor at most.
 */
const graceMs = 4000;
const bytesPerMs = 20_000;
/** Heap of a process; pixels lie outside of it. */
const heapMegabytes = 128;

export interface MediaProcessOptions {
  readonly rules: MediaRules;
  /** Turn pictures as their EXIF orientation says. Default false. */
  readonly applyExif?: boolean | undefined;
  /** Processes, each with one task at a time. Default 1 on up to 2 cores, else 2. */
  readonly workers?: number | undefined;
}

export const defaultWorkers = (): number => (availableParallelism() <= 2 ? 1 : 2);

interface Waiting {
  readonly task: MediaTask;
  resolve(media: EncodedMedia): void;
  reject(error: Error): void;
}

/** A child and what it is doing. */
interface Decoder {
  readonly child: ChildProcess;
  ready: boolean;
  running: { readonly id: number; readonly waiting: Waiting; readonly timer: NodeJS.Timeout } | undefined;
  late: boolean;
}

/**
 * Decodes pictures and clips in processes with limits, which are started when they are first needed. A file that breaks a limit
 * or the decoder fails its own task; the tasks behind it have a new process.
 */
export class MediaProcess {
  readonly #options: MediaProcessOptions;
  readonly #workers: number;
  readonly #waiting: Waiting[] = [];
  readonly #decoders = new Set<Decoder>();
  #lastId = 0;
  #closed = false;

  constructor(options: MediaProcessOptions) {
    this.#options = options;
    this.#workers = options.workers ?? defaultWorkers();
  }

  /** The processes that live now. */
  get pids(): readonly number[] {
    return [...this.#decoders].map(({ child }) => child.pid!);
  }

  /**
   * Decodes and resizes; tasks wait in order for a free process.
   * @throws WgrankError `media-invalid`, `media-too-large`, `decoder-missing`, `cancelled`, `engine-stopped`
   */
  encode(task: MediaTask, signal?: AbortSignal): Promise<EncodedMedia> {
    return new Promise((resolve, reject) => {
      if (this.#closed || signal?.aborted) {
        reject(this.#closed ? stopped() : cancelled());
        return;
      }
      // Whatever its header gives away costs no process anything.
      for (const picture of picturesOf(task)) checkPicture(picture);
      const settled = new AbortController();
      const waiting: Waiting = {
        task,
        resolve: (media) => (settled.abort(), resolve(media)),
        reject: (error) => (settled.abort(), reject(error)),
      };
      const abort = (): void => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        // One that runs already ends soon.
        waiting.reject(cancelled());
      };
      signal?.addEventListener('abort', abort, { signal: settled.signal });
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(stopped());
    await Promise.all(
      [...this.#decoders].map(async ({ child, running }) => {
        clearTimeout(running?.timer);
        running?.waiting.reject(stopped());
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await exited;
      }),
    );
  }

  #next(): void {
    if (this.#closed) return;
    for (const decoder of this.#decoders) {
      if (!decoder.ready || decoder.running !== undefined) continue;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      this.#run(decoder, waiting);
    }
    const starting = [...this.#decoders].filter(({ ready }) => !ready).length;
    if (this.#waiting.length > starting && this.#decoders.size < this.#workers) this.#start();
  }

  #run(decoder: Decoder, waiting: Waiting): void {
    const id = (this.#lastId += 1);
    const limitMs = timeLimit(waiting.task);
    const kill = (): void => {
      decoder.late = true;
      decoder.child.kill('SIGKILL');
    };
    const timer = setTimeout(kill, limitMs + graceMs + taskBytes(waiting.task) / bytesPerMs);
    decoder.running = { id, waiting, timer };
    send(decoder.child, { kind: 'decode', id, task: waiting.task, limitMs });
  }

  #start(): void {
    const child = forkChild();
    const decoder: Decoder = { child, ready: false, running: undefined, late: false };
    this.#decoders.add(decoder);
    child.on('message', (report: MediaReport) => this.#hear(decoder, report));
    // Later errors (a send that races with the end) are covered by 'exit'.
    child.on('error', (error) => this.#ended(decoder, error.message));
    child.once('exit', (code, signal) => this.#ended(decoder, signal ?? `exit code ${code}`));
    send(child, { kind: 'load', rules: this.#options.rules, applyExif: this.#options.applyExif ?? false });
    this.#next();
  }

  #hear(decoder: Decoder, report: MediaReport): void {
    const { running } = decoder;
    if (report.kind === 'ready') decoder.ready = true;
    else if (report.id !== running?.id) return;
    else if (report.kind === 'starved') running.timer.refresh();
    else if (report.kind === 'late') {
      decoder.late = true;
      decoder.child.kill('SIGKILL');
    } else {
      clearTimeout(running.timer);
      decoder.running = undefined;
      if (report.kind === 'decoded') running.waiting.resolve(report.media);
      else running.waiting.reject(failure(report.code, report.message));
    }
    this.#next();
  }

  #ended(decoder: Decoder, why: string): void {
    if (!this.#decoders.delete(decoder) || this.#closed) return;
    const { running } = decoder;
    clearTimeout(running?.timer);
    if (running !== undefined) {
      const { task } = running.waiting;
      const detail = decoder.late ? `decoding it took more than ${timeLimit(task)} ms` : 'the decoder ended';
      running.waiting.reject(new WgrankError('media-invalid', task.kind === 'image' ? 'picture' : 'video', detail));
    }
    // A process that cannot even start would be started for ever.
    if (!decoder.ready)
      for (const { reject } of this.#waiting.splice(0)) reject(stopped(`the decoder's process does not start: ${why}`));
    this.#next();
  }
}

/** What the process named keeps its words; the rest is a fault of wgrank's own. */
function failure(code: WgrankError['code'] | undefined, message: string): Error {
  return code === undefined ? new Error(message) : new WgrankError(code, '', message);
}

/** A message that does not arrive ends in the child's exit. */
function send(child: ChildProcess, command: MediaCommand): void {
  child.send(command, (error) => {
    if (error !== null) child.kill('SIGKILL');
  });
}

function forkChild(): ChildProcess {
  // The neighbour has this file's own ending: .ts under tsx and vitest, .js in dist.
  const isSource = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(`./media-child-node.${isSource ? 'ts' : 'js'}`, import.meta.url));
  const loader = isSource ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  return fork(entry, [], {
    serialization: 'advanced',
    execArgv: [...loader, `--max-old-space-size=${heapMegabytes}`, '--expose-gc'],
    env: { ...process.env, VIPS_BLOCK_UNTRUSTED: '1' },
    // Decoders' complaints about files that strangers send.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

function cancelled(): WgrankError {
  return new WgrankError('cancelled', 'media', 'the caller gave up');
}

function stopped(why = 'it is closed'): WgrankError {
  return new WgrankError('engine-stopped', 'media', why);
}
