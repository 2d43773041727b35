import { Counter, Gauge, type Registry } from 'prom-client';
import type { EngineStats } from '../rerank/engine.ts';

/** A model as metrics see it. */
export interface MeteredModel {
  readonly name: string;
  /** Whether it answers now. */
  readonly ready: boolean;
  /** Undefined while it loads. */
  stats(): Promise<EngineStats | undefined>;
  /** Calls that wait for the engine. */
  readonly waitingCalls?: number | undefined;
  /** Starts of the engine's process after the first. */
  readonly restarts?: number | undefined;
  /** Calls that were sent again after a loss. */
  readonly replays?: number | undefined;
}

/** A scrape does not wait longer for an engine that hangs: what it would have said is then left out. */
const patienceMs = 1000;

/** Figures of engines, read when they are asked for. */
export class ModelGauges {
  readonly #models: () => readonly MeteredModel[];
  readonly #queueSize: Gauge;
  readonly #gauges: Readonly<Record<'ready' | 'calls' | 'tokens' | 'gpuBytes', Gauge<'model'>>>;
  readonly #counters: Readonly<Record<'batches' | 'batchTokens' | 'restarts' | 'replays', Counter<'model'>>>;

  constructor(models: () => readonly MeteredModel[], registers: Registry[]) {
    this.#models = models;
    const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['model'], registers });
    const counter = (name: string, help: string) => new Counter({ name, help, labelNames: ['model'], registers });
    this.#queueSize = new Gauge({ name: 'te_queue_size', help: 'Pairs that wait for the engine', registers });
    this.#gauges = {
      ready: gauge('wgrank_model_ready', '1 while the model answers'),
      calls: gauge('wgrank_queue_calls', 'Calls that wait for the engine'),
      tokens: gauge('wgrank_queue_tokens', 'Tokens that wait for the engine'),
      gpuBytes: gauge('wgrank_gpu_bytes', 'Bytes of all GPU buffers: weights, activations, staging'),
    };
    this.#counters = {
      batches: counter('wgrank_engine_batches_total', 'Batches since the engine’s process began'),
      batchTokens: counter('wgrank_engine_tokens_total', 'Tokens of those batches'),
      restarts: counter('wgrank_engine_restarts_total', 'Starts of the engine’s process after the first'),
      replays: counter('wgrank_engine_replays_total', 'Calls that were sent to the engine again after a loss'),
    };
  }

  async refresh(): Promise<void> {
    const models = this.#models();
    const stats = await Promise.all(models.map((model) => soon(model.stats())));
    for (const metric of Object.values({ ...this.#gauges, ...this.#counters })) metric.reset();
    let queuedPairs = 0;
    for (const [i, { name: model, ready, waitingCalls, restarts, replays }] of models.entries()) {
      const found = stats[i];
      queuedPairs += found?.queuedPairs ?? 0;
      this.#gauges.ready.set({ model }, Number(ready));
      set(this.#gauges.calls, model, waitingCalls);
      set(this.#gauges.tokens, model, found?.queuedTokens);
      set(this.#gauges.gpuBytes, model, found?.gpuBytes);
      count(this.#counters.batches, model, found?.batches);
      count(this.#counters.batchTokens, model, found?.batchTokens);
      count(this.#counters.restarts, model, restarts);
      count(this.#counters.replays, model, replays);
    }
    this.#queueSize.set(queuedPairs);
  }
}

function set(gauge: Gauge<'model'>, model: string, value: number | undefined): void {
  if (value !== undefined) gauge.set({ model }, value);
}

/** What is counted elsewhere: the counters were reset before. */
function count(counter: Counter<'model'>, model: string, value: number | undefined): void {
  if (value !== undefined) counter.inc({ model }, value);
}

async function soon<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), patienceMs);
  });
  const settled = answer.catch(() => undefined);
  return Promise.race([settled, late]).finally(() => clearTimeout(timer));
}
