import { availableParallelism } from 'node:os';

import { WgrankError } from '../errors.ts';
import { checkPicture } from './check-picture.ts';
import type { EncodedMedia } from './encoded-media.ts';
import { MediaChild } from './media-child-link-node.ts';
import { picturesOf, taskBytes, timeLimit, type MediaReport, type MediaTask } from './media-protocol.ts';
import type { MediaRules } from './media-rules.ts';
import { cancelled } from './source-limits.ts';

/**
 * A process that says nothing is killed this much after its time, and after the time that the bytes take to travel. It says
 * itself when it is late, but not while it resizes, which takes half a second of a processor at most.
 */
const graceMs = 4000;
const bytesPerMs = 20_000;

export interface MediaProcessOptions {
  readonly rules: MediaRules;
  /** Turn pictures as their EXIF orientation says. Default false. */
  readonly applyExif?: boolean | undefined;
  /** Processes, each with one task at a time. Default 1 on up to 2 cores, else 2. */
  readonly workers?: number | undefined;
  /** How long a process may take until it is ready. Default 30,000 ms. */
  readonly startLimitMs?: number | undefined;
  /** Module of the processes; default: wgrank's own. Tests pass a broken one. */
  readonly childModule?: URL | undefined;
}

export const defaultWorkers = (): number => (availableParallelism() <= 2 ? 1 : 2);

interface Waiting {
  readonly task: MediaTask;
  /** A process died before it began with it. */
  again: boolean;
  resolve(media: EncodedMedia): void;
  reject(error: Error): void;
}

interface Running {
  readonly id: number;
  readonly waiting: Waiting;
  readonly timer: NodeJS.Timeout;
  started: boolean;
  /** The limit that it broke. */
  brokenMs: number | undefined;
}

/** A process and what it is doing. */
interface Decoder {
  readonly child: MediaChild;
  running: Running | undefined;
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
    return [...this.#decoders].flatMap(({ child }) => child.pid ?? []);
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
        again: false,
        resolve: (media) => (settled.abort(), resolve(media)),
        reject: (error) => (settled.abort(), reject(error)),
      };
      const abort = (): void => {
        waiting.reject(cancelled());
        this.#abandon(waiting);
      };
      signal?.addEventListener('abort', abort, { signal: settled.signal });
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectAll(stopped());
    await Promise.all(
      [...this.#decoders].map((decoder) => {
        endTask(decoder)?.waiting.reject(stopped());
        return decoder.child.close();
      }),
    );
  }

  /** Decoders cannot be stopped from inside, and the others must not wait for work that nobody wants. */
  #abandon(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting);
    if (at >= 0) this.#waiting.splice(at, 1);
    for (const decoder of this.#decoders) {
      if (decoder.running?.waiting !== waiting) continue;
      endTask(decoder);
      decoder.child.kill();
    }
  }

  #next(): void {
    if (this.#closed) return;
    for (const decoder of this.#decoders) {
      const { child, running } = decoder;
      if (!child.wasReady || child.doomed || running !== undefined) continue;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      this.#run(decoder, waiting);
    }
    const starting = [...this.#decoders].filter(({ child }) => !child.wasReady && !child.doomed).length;
    // Those that were killed count until they have ended.
    if (this.#waiting.length > starting && this.#decoders.size < this.#workers) this.#start();
  }

  #run(decoder: Decoder, waiting: Waiting): void {
    const { task } = waiting;
    const id = (this.#lastId += 1);
    const limitMs = timeLimit(task);
    const timer = setTimeout(() => kill(decoder, limitMs), limitMs + graceMs + taskBytes(task) / bytesPerMs);
    decoder.running = { id, waiting, timer, started: false, brokenMs: undefined };
    decoder.child.send({ kind: 'decode', id, task, limitMs });
  }

  #start(): void {
    const { rules, applyExif = false, startLimitMs = 30_000, childModule } = this.#options;
    try {
      const child = new MediaChild({
        load: { kind: 'load', rules, applyExif },
        startLimitMs,
        childModule,
        hear: (report) => this.#hear(decoder, report),
        ended: (why) => this.#ended(decoder, why),
      });
      const decoder: Decoder = { child, running: undefined };
      this.#decoders.add(decoder);
    } catch (error) {
      this.#rejectAll(notStarted(String(error)));
    }
    this.#next();
  }

  #hear(decoder: Decoder, report: MediaReport): void {
    const { running } = decoder;
    if (report.kind !== 'ready') {
      if (report.id !== running?.id) return;
      if (report.kind === 'started') running.started = true;
      else if (report.kind === 'starved') running.timer.refresh();
      else if (report.kind === 'late') kill(decoder, report.limitMs);
      else {
        const { waiting } = endTask(decoder)!;
        if (report.kind === 'decoded') waiting.resolve(report.media);
        else if (report.kind === 'failed') waiting.reject(new WgrankError(report.code, '', report.message));
        else waiting.reject(new Error('the process that decodes failed at something of its own'));
      }
    }
    this.#next();
  }

  #ended(decoder: Decoder, why: string): void {
    if (!this.#decoders.delete(decoder) || this.#closed) return;
    const running = endTask(decoder);
    if (running?.started) running.waiting.reject(failureOf(running));
    else if (running !== undefined) this.#repeat(running.waiting, why);
    // A process that cannot even start would be started for ever.
    if (!decoder.child.wasReady) this.#rejectAll(notStarted(why));
    this.#next();
  }

  /** The end of a process that had not begun says nothing about the file. */
  #repeat(waiting: Waiting, why: string): void {
    if (waiting.again) {
      waiting.reject(stopped(`the decoder's process ended twice before it began: ${why}`));
      return;
    }
    waiting.again = true;
    this.#waiting.unshift(waiting);
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function kill({ child, running }: Decoder, brokenMs: number): void {
  if (running !== undefined) running.brokenMs ??= brokenMs;
  child.kill();
}

function endTask(decoder: Decoder): Running | undefined {
  const { running } = decoder;
  clearTimeout(running?.timer);
  decoder.running = undefined;
  return running;
}

/** What a process's end says about the file that it was decoding. */
function failureOf({ waiting: { task }, brokenMs }: Running): WgrankError {
  const late = brokenMs === timeLimit(task) ? 'it' : 'one of its pictures';
  const detail = brokenMs === undefined ? 'the decoder ended' : `decoding ${late} took more than ${brokenMs} ms`;
  return new WgrankError('media-invalid', task.kind === 'image' ? 'picture' : 'video', detail);
}

/** The words are for the log: clients are told the code's sentence. */
function stopped(why = 'it is closed'): WgrankError {
  return new WgrankError('engine-stopped', 'media', why);
}

const notStarted = (why: string): WgrankError => stopped(`the decoder's process does not start: ${why}`);
