import type { ChildProcess } from 'node:child_process';
import { basename } from 'node:path';
import process from 'node:process';

import { WgrankError } from '../errors.ts';
import { bareEnvironment } from '../process/child-environment.ts';
import { forkModule, neighbour } from '../process/start-module-node.ts';
import type { ChatTemplate } from './chat-template.ts';
import type { RenderCommand, RenderReport } from './template-protocol.ts';
import { promptUnits, type TemplateTexts } from './template-texts.ts';

/** How long a template may take for one task; a prompt takes well under a millisecond. */
const limitMs = 500;
/** A process that does not stop by itself is killed this much later, and after the time that the texts take to travel. */
const graceMs = 300;
const unitsPerMs = 2000;
/** Heap of the process: what lives long, and three halves of a room for what is new. */
const heapMegabytes = 64;
const newMegabytes = 4;
/** A task that nobody waits for any more may still end by itself, which costs less than a new process. */
const givenUpMs = 50;
const startLimitMs = 30_000;

export interface TemplateProcessOptions {
  /** How long a process may take until it is ready. Default 30,000 ms. */
  readonly startLimitMs?: number | undefined;
  /** Module of the process; default: wgrank's own. Tests pass a broken one. */
  readonly childModule?: URL | undefined;
}

interface RunningTask {
  readonly id: number;
  readonly task: Waiting;
  /** Kills the process when it does not stop by itself. */
  timer: NodeJS.Timeout;
  late: boolean;
}

interface Waiting {
  readonly prompts: readonly TemplateTexts[];
  resolve(texts: readonly string[]): void;
  reject(error: WgrankError): void;
}

/** Renders a chat template in a process with limits. A template that breaks them fails its own task; the next one has a new process. */
export class TemplateProcess {
  readonly #template: ChatTemplate;
  readonly #options: TemplateProcessOptions;
  readonly #waiting: Waiting[] = [];
  #child: ChildProcess | undefined;
  #ready = false;
  /** It was killed because it did not get ready. */
  #overdue = false;
  #startTimer: NodeJS.Timeout | undefined;
  #running: RunningTask | undefined;
  #lastId = 0;
  #closed = false;
  /** Resolves when the first process can render, or has ended. */
  readonly ready: Promise<void>;
  #becameReady: () => void = () => undefined;

  constructor(template: ChatTemplate, options: TemplateProcessOptions = {}) {
    this.#template = template;
    this.#options = options;
    this.ready = new Promise((resolve) => {
      this.#becameReady = resolve;
    });
    this.#start();
  }

  /** Of the process that runs, if one does. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Renders prompts, all of them or none; tasks go one after the other.
   * @throws WgrankError `template-invalid` with the template's own words or the limit that it broke; `cancelled`, `engine-stopped`
   */
  render(prompts: readonly TemplateTexts[], signal?: AbortSignal): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed || signal?.aborted) {
        reject(this.#closed ? stopped() : cancelled());
        return;
      }
      const settled = new AbortController();
      const task: Waiting = {
        prompts,
        resolve: (texts) => (settled.abort(), resolve(texts)),
        reject: (error) => (settled.abort(), reject(error)),
      };
      const abort = (): void => {
        task.reject(cancelled());
        this.#abandon(task);
      };
      signal?.addEventListener('abort', abort, { signal: settled.signal });
      this.#waiting.push(task);
      this.#next();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#startTimer);
    this.#endTask()?.task.reject(stopped());
    for (const { reject } of this.#waiting.splice(0)) reject(stopped());
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  /** The others must not wait for what nobody wants, and a template cannot be stopped from here. */
  #abandon(task: Waiting): void {
    const at = this.#waiting.indexOf(task);
    if (at >= 0) this.#waiting.splice(at, 1);
    const running = this.#running;
    if (running?.task !== task) return;
    const child = this.#child;
    clearTimeout(running.timer);
    running.timer = setTimeout(() => child?.kill('SIGKILL'), givenUpMs);
  }

  #start(): void {
    const child = forkChild(this.#options.childModule);
    this.#child = child;
    this.#ready = false;
    this.#overdue = false;
    this.#startTimer = setTimeout(() => {
      this.#overdue = true;
      child.kill('SIGKILL');
    }, this.#options.startLimitMs ?? startLimitMs);
    child.on('message', (report: RenderReport) => this.#hear(child, report));
    // Later errors (a send that races with the end) are covered by 'exit'.
    child.on('error', (error) => this.#ended(child, error.message));
    child.once('exit', (code, signal) => this.#ended(child, signal ?? `exit code ${code}`));
    send(child, { kind: 'load', template: this.#template, limitMs });
  }

  #hear(child: ChildProcess, report: RenderReport): void {
    if (child !== this.#child) return;
    if (report.kind === 'ready') {
      clearTimeout(this.#startTimer);
      this.#ready = true;
      this.#becameReady();
    } else if (report.kind === 'starved') this.#running?.timer.refresh();
    else if (report.id === this.#running?.id) {
      const { task } = this.#endTask()!;
      if (report.kind === 'rendered') task.resolve(report.texts);
      else task.reject(this.#failure(report.message));
    }
    this.#next();
  }

  #next(): void {
    if (this.#closed || this.#running !== undefined) return;
    if (this.#child === undefined && this.#waiting.length > 0) this.#start();
    if (!this.#ready) return;
    const task = this.#waiting.shift();
    if (task === undefined) return;
    const id = (this.#lastId += 1);
    const child = this.#child!;
    const units = task.prompts.reduce((sum, prompt) => sum + promptUnits(prompt), 0);
    const timer = setTimeout(
      () => {
        this.#running!.late = true;
        child.kill('SIGKILL');
      },
      limitMs + graceMs + units / unitsPerMs,
    );
    this.#running = { id, task, timer, late: false };
    send(child, { kind: 'render', id, prompts: task.prompts });
  }

  #endTask(): RunningTask | undefined {
    const running = this.#running;
    clearTimeout(running?.timer);
    this.#running = undefined;
    return running;
  }

  #ended(child: ChildProcess, why: string): void {
    if (child !== this.#child) return;
    clearTimeout(this.#startTimer);
    const wasReady = this.#ready;
    this.#becameReady();
    this.#child = undefined;
    this.#ready = false;
    const running = this.#endTask();
    running?.task.reject(this.#failure(running.late ? `it takes more than ${limitMs} ms` : describeEnd(why)));
    // A process that cannot even start would be started for ever.
    const reason = this.#overdue ? `it is not ready after ${this.#options.startLimitMs ?? startLimitMs} ms` : why;
    if (!wasReady)
      for (const { reject } of this.#waiting.splice(0)) reject(stopped(`the template's process ended: ${reason}`));
    this.#next();
  }

  #failure(what: string): WgrankError {
    return new WgrankError('template-invalid', 'chat template', `${basename(this.#template.name)} fails: ${what}`);
  }
}

/** V8 aborts a process whose heap is full. */
function describeEnd(why: string): string {
  const full = ['SIGABRT', 'SIGTRAP', 'exit code 134'].includes(why);
  return full ? `it needs more than ${heapMegabytes} MB` : `its process ended: ${why}`;
}

/** A message that does not arrive ends in the child's exit. */
function send(child: ChildProcess, command: RenderCommand): void {
  // It could not be started: 'error' says so in a moment.
  if (child.pid === undefined) return;
  child.send(command, (error) => {
    if (error !== null) child.kill('SIGKILL');
  });
}

function forkChild(childModule: URL | undefined): ChildProcess {
  return forkModule(childModule ?? neighbour(import.meta.url, 'template-child-node'), {
    flags: [`--max-old-space-size=${heapMegabytes - 3 * newMegabytes}`, `--max-semi-space-size=${newMegabytes}`],
    env: bareEnvironment(process.env),
    // What it says about its end is said here.
    stdio: ['ignore', 'ignore', 'ignore'],
  });
}

function cancelled(): WgrankError {
  return new WgrankError('cancelled', 'chat template', 'the caller gave up');
}

function stopped(why = 'it is closed'): WgrankError {
  return new WgrankError('engine-stopped', 'chat template', why);
}
