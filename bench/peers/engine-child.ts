import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { EngineJob, Ready, Sample } from './engine-process.ts';

/** One engine in a process of its own. */
export class EngineChild {
  readonly name: string;
  readonly loadMs: number;
  readonly adapter: string;
  readonly drivers: readonly string[];
  firstRunMs = 0;
  readonly samples: Sample[] = [];
  readonly #process: ChildProcess;

  private constructor(name: string, child: ChildProcess, ready: Ready) {
    this.name = name;
    this.#process = child;
    this.loadMs = ready.loadMs;
    this.adapter = ready.adapter;
    this.drivers = ready.drivers;
  }

  static async start(name: string, job: EngineJob): Promise<EngineChild> {
    const child = fork(join(import.meta.dirname, 'engine-process.ts'), [JSON.stringify(job)]);
    return new EngineChild(name, child, (await answer(child)) as Ready);
  }

  async warmUp(): Promise<void> {
    this.firstRunMs = (await this.#ask()).ms;
  }

  async run(): Promise<Sample> {
    const sample = await this.#ask();
    this.samples.push(sample);
    return sample;
  }

  stop(): void {
    this.#process.kill();
  }

  async #ask(): Promise<Sample> {
    this.#process.send('run');
    return (await answer(this.#process)) as Sample;
  }
}

async function answer(child: ChildProcess): Promise<Ready | Sample> {
  const waiting = new AbortController();
  const exited = once(child, 'exit', { signal: waiting.signal }).then(([code, signal]) => {
    throw new Error(`engine process ended: code ${String(code)}, signal ${String(signal)}`);
  });
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal: waiting.signal }), exited])) as [
      Ready | Sample,
    ];
    return message;
  } finally {
    exited.catch(() => undefined);
    waiting.abort();
  }
}
