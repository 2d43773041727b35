import { WgrankError } from '../../src/errors.ts';
import type { Engine, EngineInfo, EnginePair } from '../../src/rerank/engine.ts';
import { systemClock, type Clock } from '../../src/server/clock.ts';
import { fakeInfo, fakeLogit } from '../support/fake-engine.ts';

export interface StubOptions {
  readonly clock?: Clock;
  readonly info?: Partial<EngineInfo>;
  /** Milliseconds that a slice takes; slices run one after the other. */
  readonly serviceMs?: number | ((pairs: readonly EnginePair[]) => number);
  /** Goes on with what was aborted, as a batch on the GPU does. Default: it is dropped at once. */
  readonly ignoresAbort?: boolean;
  /** Fails the slice instead. */
  readonly failure?: (pairs: readonly EnginePair[]) => Error | undefined;
}

/** A slice as it reached the engine. */
export interface SeenSlice {
  readonly pairs: readonly EnginePair[];
  readonly tokens: number;
  aborted: boolean;
}

/** An engine that needs time and nothing else; its logits are `fakeLogit`'s. */
export class StubEngine implements Engine {
  readonly info: EngineInfo;
  readonly slices: SeenSlice[] = [];
  running = 0;
  runningTokens = 0;
  mostSlices = 0;
  mostTokens = 0;
  closed = false;
  readonly #options: StubOptions;
  readonly #clock: Clock;
  /** When the latest slice will be done. */
  #freeAt = 0;

  constructor(options: StubOptions = {}) {
    this.info = { ...fakeInfo, ...options.info };
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  score(pairs: readonly EnginePair[], signal?: AbortSignal): Promise<Float32Array> {
    const { serviceMs = 0, ignoresAbort = false, failure } = this.#options;
    const slice: SeenSlice = { pairs, tokens: tokensOf(pairs), aborted: false };
    this.slices.push(slice);
    this.#enter(slice.tokens);
    const ms = typeof serviceMs === 'number' ? serviceMs : serviceMs(pairs);
    const now = this.#clock.now();
    this.#freeAt = Math.max(now, this.#freeAt) + ms;
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        signal?.removeEventListener('abort', abort);
        cancel();
        this.running--;
        this.runningTokens -= slice.tokens;
        settle();
      };
      const abort = () => {
        slice.aborted = true;
        if (!ignoresAbort) done(() => reject(new WgrankError('cancelled', 'stub', 'aborted')));
      };
      const cancel = this.#clock.after(this.#freeAt - now, () => {
        const error = failure?.(pairs);
        done(() => (error ? reject(error) : resolve(Float32Array.from(pairs, ({ ids }) => fakeLogit(ids)))));
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  async stats() {
    return { queuedPairs: 0, queuedTokens: 0, batches: this.slices.length, batchTokens: 0, gpuBytes: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  #enter(tokens: number): void {
    this.running++;
    this.runningTokens += tokens;
    this.mostSlices = Math.max(this.mostSlices, this.running);
    this.mostTokens = Math.max(this.mostTokens, this.runningTokens);
  }
}

const tokensOf = (pairs: readonly EnginePair[]) => pairs.reduce((sum, { ids }) => sum + ids.length, 0);

let nextId = 1;
/** A pair of so many tokens that no other pair has. */
export function pairOf(tokens: number): EnginePair {
  const first = nextId++;
  return { ids: Int32Array.from({ length: tokens }, (_, i) => (i === 0 ? first : i)), truncatedTokens: 0 };
}

export const pairsOf = (count: number, tokens: number) => Array.from({ length: count }, () => pairOf(tokens));
