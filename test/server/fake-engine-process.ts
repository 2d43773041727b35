import { WgrankError, type ErrorCode } from '../../src/errors.ts';
import type { EngineInfo, EnginePair, EngineStats } from '../../src/rerank/engine.ts';
import type { EngineProcess } from '../../src/server/engine-process.ts';
import { fakeInfo, fakeLogit } from '../support/fake-engine.ts';

/** What a process does with a call whose first id is this. */
export const orders = {
  /** Ends the process. */
  die: 100_001,
  /** Never answers. */
  hang: 100_002,
  /** Answers that the device is lost. */
  loseDevice: 100_003,
  outOfMemory: 100_004,
  gpuError: 100_005,
  /** The caller's own fault. */
  invalid: 100_006,
  unnamed: 100_007,
  notFinite: 100_008,
  /** Neither this call nor any later one is answered. */
  jam: 100_009,
} as const;

const failures: Readonly<Record<number, ErrorCode>> = {
  [orders.loseDevice]: 'device-lost',
  [orders.outOfMemory]: 'out-of-memory',
  [orders.gpuError]: 'gpu-error',
  [orders.invalid]: 'input-invalid',
  [orders.notFinite]: 'numeric-range',
};

export const pairOf = (...ids: number[]): EnginePair => ({ ids: Int32Array.from(ids), truncatedTokens: 0 });

export interface FakeProcessOptions {
  readonly info?: Partial<EngineInfo>;
  /** How long an answer takes. */
  readonly serviceMs?: number;
  /** How long the short pair that proves a process takes. */
  readonly proofMs?: number;
  /** False fails the short pair that proves a process. */
  readonly proves?: boolean;
}

let nextPid = 1;

/** An engine process without a process, so that hundreds of deaths take no time. */
export class FakeProcess implements EngineProcess {
  readonly pid = nextPid++;
  readonly info: EngineInfo;
  readonly exited: Promise<string>;
  /** First ids of the calls that came, without those that prove it. */
  readonly seen: number[] = [];
  /** Most calls that it had at once. */
  busiest = 0;
  /** Calls by which it was asked for a sign of life. */
  probes = 0;
  closed = false;
  ended = false;
  readonly #options: FakeProcessOptions;
  #jammed = false;
  readonly #pending = new Set<(error: Error) => void>();
  #exit!: (reason: string) => void;

  constructor(options: FakeProcessOptions = {}) {
    this.#options = options;
    this.info = { ...fakeInfo, ...options.info };
    this.exited = new Promise((resolve) => (this.#exit = resolve));
  }

  score(pairs: readonly EnginePair[], signal?: AbortSignal): Promise<Float32Array> {
    const { serviceMs = 1, proofMs = 1, proves = true } = this.#options;
    const [first = 0] = pairs[0]!.ids;
    return new Promise<Float32Array>((resolve, reject) => {
      const end = (error: Error) => {
        clearTimeout(timer);
        this.#pending.delete(end);
        reject(error);
      };
      const answer = () => {
        this.#pending.delete(end);
        resolve(Float32Array.from(pairs, ({ ids }) => fakeLogit(ids)));
      };
      let timer: NodeJS.Timeout | undefined;
      if (this.ended) return reject(gone('is not there'));
      this.#pending.add(end);
      if (first === 0) {
        this.probes++;
        if (this.#jammed) return;
        timer = setTimeout(() => (proves ? answer() : this.die('does not prove itself')), proofMs);
        return;
      }
      this.seen.push(first);
      this.busiest = Math.max(this.busiest, this.#pending.size);
      signal?.addEventListener('abort', () => end(new WgrankError('cancelled', 'fake', 'aborted')), { once: true });
      this.#jammed ||= first === orders.jam;
      if (first === orders.hang || this.#jammed) return;
      timer = setTimeout(() => {
        const code = failures[first];
        if (first === orders.die) this.die('a call ends it');
        else if (first === orders.unnamed) end(new TypeError('a bug'));
        else if (code !== undefined) end(new WgrankError(code, 'fake', 'as ordered'));
        else answer();
      }, serviceMs);
    });
  }

  async stats(): Promise<EngineStats> {
    return { queuedPairs: this.#pending.size, queuedTokens: 0, batches: this.seen.length, batchTokens: 0, gpuBytes: 1 };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.die('closed');
  }

  kill(): void {
    this.die('SIGKILL');
  }

  die(reason: string): void {
    if (this.ended) return;
    this.ended = true;
    for (const end of this.#pending) end(gone(reason));
    this.#exit(reason);
  }
}

const gone = (reason: string) => new WgrankError('engine-stopped', 'fake', reason);
