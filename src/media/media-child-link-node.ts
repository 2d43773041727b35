import type { ChildProcess } from 'node:child_process';
import process from 'node:process';

import { bareEnvironment } from '../process/child-environment.ts';
import { forkModule, neighbour } from '../process/start-module-node.ts';
import type { MediaCommand, MediaReport } from './media-protocol.ts';

/** Heap of a process; pixels lie outside of it. */
const heapMegabytes = 128;
/** Characters of its complaints that are kept until it is ready. */
const keptWords = 2000;

export interface MediaChildOptions {
  /** The first command. */
  readonly load: MediaCommand;
  /** How long the process may take until it is ready. */
  readonly startLimitMs: number;
  /** Module of the process; default: wgrank's own. */
  readonly childModule?: URL | undefined;
  hear(report: MediaReport): void;
  /** Called once, after the last report. @param why for the log: it may hold paths, and what the process complained about */
  ended(why: string): void;
}

/** The parent's end of a process that decodes. */
export class MediaChild {
  readonly #child: ChildProcess;
  readonly #options: MediaChildOptions;
  readonly #startTimer: NodeJS.Timeout;
  #ready = false;
  #doomed = false;
  #ended = false;
  #late = false;
  #words = '';

  /** @throws whatever Node throws when it cannot start a process at all */
  constructor(options: MediaChildOptions) {
    this.#options = options;
    const child = forkChild(options.childModule);
    this.#child = child;
    this.#startTimer = setTimeout(() => {
      this.#late = true;
      this.kill();
    }, options.startLimitMs);
    child.stderr?.setEncoding('utf8').on('data', (words: string) => {
      // Later on they are complaints about files that strangers send.
      if (!this.#ready) this.#words = (this.#words + words).slice(-keptWords);
    });
    child.on('message', (report: MediaReport) => this.#hear(report));
    child.on('error', (error) => {
      if (this.pid === undefined) this.#end(error.message);
      else this.kill();
    });
    child.once('exit', (code, signal) => {
      const end = () => this.#end(signal ?? `exit code ${code}`);
      // What it said last may still be on its way.
      if (child.connected) child.once('disconnect', end);
      else end();
    });
    this.send(options.load);
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Has said that it is ready, whatever came after. */
  get wasReady(): boolean {
    return this.#ready;
  }

  /** Was told to end. It must get no task any more. */
  get doomed(): boolean {
    return this.#doomed;
  }

  /** A message that does not arrive ends in the process's exit. */
  send(command: MediaCommand): void {
    // Without a process there may be no channel either; 'error' follows.
    if (this.pid === undefined) return;
    this.#child.send(command, (error) => {
      if (error !== null) this.kill();
    });
  }

  kill(): void {
    this.#doomed = true;
    this.#child.kill('SIGKILL');
  }

  /** Kills and waits for the end. */
  async close(): Promise<void> {
    clearTimeout(this.#startTimer);
    const { exitCode, signalCode } = this.#child;
    if (this.pid === undefined || exitCode !== null || signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.kill();
    await exited;
  }

  #hear(report: MediaReport): void {
    if (report.kind === 'ready') {
      clearTimeout(this.#startTimer);
      this.#ready = true;
      this.#words = '';
    }
    this.#options.hear(report);
  }

  #end(how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#doomed = true;
    clearTimeout(this.#startTimer);
    const why = this.#late ? `not ready after ${this.#options.startLimitMs} ms` : how;
    const words = this.#words.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
    this.#options.ended(words === '' ? why : `${why}: ${words}`);
  }
}

function forkChild(childModule: URL | undefined): ChildProcess {
  return forkModule(childModule ?? neighbour(import.meta.url, 'media-child-node'), {
    flags: [`--max-old-space-size=${heapMegabytes}`, '--expose-gc'],
    env: { ...bareEnvironment(process.env, /^VIPS_/i), VIPS_BLOCK_UNTRUSTED: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
