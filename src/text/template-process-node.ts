import { fork, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { WgrankError } from '../errors.ts';
import type { ChatTemplate } from './chat-template.ts';
import type { RenderCommand, RenderReport } from './template-protocol.ts';
import { promptUnits, type TemplateTexts } from './template-texts.ts';

/** How long a template may take for one task; a prompt takes well under a millisecond. */
const limitMs = 500;
/** A process that does not stop by itself is killed this much later, and after the time that the texts take to travel. */
const graceMs = 400;
const unitsPerMs = 2000;
/** Heap of the process. */
const heapMegabytes = 64;

interface RunningTask {
  readonly id: number;
  readonly task: Waiting;
  /** Kills the process when it does not stop by itself. */
  readonly timer: NodeJS.Timeout;
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
  readonly #waiting: Waiting[] = [];
  #child: ChildProcess | undefined;
  #ready = false;
  #running: RunningTask | undefined;
  #lastId = 0;
  #closed = false;
  /** Resolves when the first process can render, or has ended. */
  readonly ready: Promise<void>;
  #becameReady: () => void = () => undefined;

  constructor(template: ChatTemplate) {
    this.#template = template;
    this.ready = new Promise((resolve) => {
      this.#becameReady = resolve;
    });
    this.#start();
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
        const at = this.#waiting.indexOf(task);
        if (at >= 0) this.#waiting.splice(at, 1);
        // One that runs already ends soon.
        task.reject(cancelled());
      };
      signal?.addEventListener('abort', abort, { signal: settled.signal });
      this.#waiting.push(task);
      this.#next();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#running?.timer);
    this.#running?.task.reject(stopped());
    for (const { reject } of this.#waiting.splice(0)) reject(stopped());
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  #start(): void {
    const child = forkChild();
    this.#child = child;
    this.#ready = false;
    child.on('message', (report: RenderReport) => this.#hear(child, report));
    // Later errors (a send that races with the end) are covered by 'exit'.
    child.on('error', (error) => this.#ended(child, error.message));
    child.once('exit', (code, signal) => this.#ended(child, signal ?? `exit code ${code}`));
    send(child, { kind: 'load', template: this.#template, limitMs });
  }

  #hear(child: ChildProcess, report: RenderReport): void {
    if (child !== this.#child) return;
    if (report.kind === 'ready') {
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
    const wasReady = this.#ready;
    this.#becameReady();
    this.#child = undefined;
    this.#ready = false;
    const running = this.#endTask();
    running?.task.reject(this.#failure(running.late ? `it takes more than ${limitMs} ms` : describeEnd(why)));
    // A process that cannot even start would be started for ever.
    if (!wasReady)
      for (const { reject } of this.#waiting.splice(0)) reject(stopped(`the template's process ended: ${why}`));
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
  child.send(command, (error) => {
    if (error !== null) child.kill('SIGKILL');
  });
}

function forkChild(): ChildProcess {
  // The neighbour has this file's own ending: .ts under tsx and vitest, .js in dist.
  const isSource = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(`./template-child-node.${isSource ? 'ts' : 'js'}`, import.meta.url));
  const loader = isSource ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  return fork(entry, [], {
    serialization: 'advanced',
    execArgv: [...loader, `--max-old-space-size=${heapMegabytes}`],
    // What it says about its end is said here.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

function cancelled(): WgrankError {
  return new WgrankError('cancelled', 'chat template', 'the caller gave up');
}

function stopped(why = 'it is closed'): WgrankError {
  return new WgrankError('engine-stopped', 'chat template', why);
}
