import { WgrankError } from '../errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Plan } from '../graph/plan.ts';
import type { Model } from '../models/model.ts';
import { answer, BatchQueue, settle, type Job, type Ticket } from './batch-queue.ts';
import type { Engine, EngineInfo, EnginePair, EngineStats } from './engine.ts';
import type { Sequence, VisualPairs } from './visual-pairs.ts';
import { placeVisuals, type VisualStore } from './visual-store.ts';

/** Batches on the GPU at once: while one runs, the next is encoded. */
const batchesInFlight = 2;

export interface GpuEngineParts {
  readonly gpu: Gpu;
  readonly plan: Plan;
  readonly model: Model;
  readonly info: EngineInfo;
  /** Pairs of a batch at the most. */
  readonly maxBatchPairs: number;
  /** Tokens that the plan has room for: a batch, or the longest pair when that is more. */
  readonly capacityTokens: number;
  readonly tileRows: number;
  /** For models that see. */
  readonly visual?: { readonly pairs: VisualPairs; readonly store: VisualStore };
}

/** The engine in this process: a queue in front of a plan. */
export class GpuEngine implements Engine {
  readonly info: EngineInfo;
  readonly failed: Promise<Error>;
  readonly #parts: GpuEngineParts;
  readonly #queue = new BatchQueue();
  readonly #jobs = new Set<Job>();
  #inFlight = 0;
  #pumping = false;
  #batches = 0;
  #batchTokens = 0;
  #failure: WgrankError | undefined;

  constructor(parts: GpuEngineParts) {
    this.#parts = parts;
    this.info = parts.info;
    this.failed = parts.gpu.failed.catch((reason: WgrankError) => {
      this.#fail(reason);
      return reason;
    });
  }

  async score(pairs: readonly EnginePair[], signal?: AbortSignal): Promise<Float32Array> {
    if (this.#failure) throw this.#failure;
    if (signal?.aborted) throw cancelled();
    this.#check(pairs);
    if (pairs.length === 0) return new Float32Array(0);
    const sequences = this.#sequences(pairs);
    return new Promise<Float32Array>((resolve, reject) => {
      const abort = () => settle(job, cancelled());
      const done = () => {
        signal?.removeEventListener('abort', abort);
        this.#jobs.delete(job);
        for (const sequence of sequences) this.#parts.visual?.pairs.release(sequence);
      };
      const job: Job = {
        pairs: sequences,
        logits: new Float32Array(pairs.length),
        taken: 0,
        answered: 0,
        settled: false,
        resolve: (logits) => (done(), resolve(logits)),
        reject: (reason) => (done(), reject(reason)),
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#jobs.add(job);
      this.#queue.push(job);
      this.#pump();
    });
  }

  async stats(): Promise<EngineStats> {
    const { pairs, tokens } = this.#queue.waiting;
    return {
      queuedPairs: pairs,
      queuedTokens: tokens,
      batches: this.#batches,
      batchTokens: this.#batchTokens,
      gpuBytes: this.#parts.gpu.bytes,
    };
  }

  async close(): Promise<void> {
    if (this.#failure?.code === 'engine-stopped') return;
    this.#fail(new WgrankError('engine-stopped', 'engine', 'the engine was closed'));
    this.#parts.gpu.destroy();
  }

  /** Everything that the kernels rely on and the type does not say. */
  #check(pairs: readonly EnginePair[]): void {
    const { maxTokens } = this.info;
    const { vocabularySize } = this.#parts.model;
    pairs.forEach(({ ids, media = [] }, i) => {
      if (media.length > 0 && !this.#parts.visual)
        throw new WgrankError('media-unsupported', 'engine', `pair ${i} has pictures (this model reads text only)`);
      if (ids.length === 0) throw new WgrankError('input-invalid', 'engine', `pair ${i} has no tokens`);
      if (ids.length > maxTokens) {
        throw new WgrankError(
          'input-too-long',
          '',
          `The input (${ids.length} tokens) is longer than the model's context length (${maxTokens} tokens).`,
        );
      }
      const bad = ids.find((id) => id < 0 || id >= vocabularySize);
      if (bad !== undefined) {
        throw new WgrankError(
          'input-invalid',
          'engine',
          `pair ${i} holds token id ${bad} (the model's vocabulary has ${vocabularySize} entries)`,
        );
      }
    });
  }

  /** What batches take. @throws WgrankError `input-invalid`, `media-too-large` */
  #sequences(pairs: readonly EnginePair[]): Sequence[] {
    const { visual } = this.#parts;
    if (!visual) return pairs.map(({ ids }) => ({ ids }));
    const sequences: Sequence[] = [];
    try {
      for (const pair of pairs) sequences.push(visual.pairs.sequence(pair));
    } catch (reason) {
      for (const sequence of sequences) visual.pairs.release(sequence);
      throw reason;
    }
    return sequences;
  }

  /** Starts batches once the current turn of the event loop has ended, so that requests that arrive together share one. */
  #pump(): void {
    if (this.#pumping || this.#failure) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      while (!this.#failure && this.#inFlight < batchesInFlight && this.#startBatch());
    });
  }

  #startBatch(): boolean {
    const { maxBatchTokens } = this.info;
    const { model, maxBatchPairs, capacityTokens } = this.#parts;
    const tickets = this.#queue.take(maxBatchTokens, maxBatchPairs, model.meter(), capacityTokens);
    if (tickets.length === 0) return false;
    this.#inFlight++;
    this.#batches++;
    void this.#run(tickets)
      .catch((reason: unknown) => {
        const error = reason instanceof Error ? reason : new Error(String(reason));
        for (const { job } of tickets) settle(job, error);
      })
      .finally(() => {
        this.#inFlight--;
        this.#pump();
      });
    return true;
  }

  async #run(tickets: readonly Ticket[]): Promise<void> {
    const { plan, model, tileRows } = this.#parts;
    const sequences = tickets.map(({ job, index }) => job.pairs[index]!);
    const { visual } = this.#parts;
    const ids = visual ? placeVisuals(sequences, visual.store) : sequences.map((sequence) => sequence.ids);
    const positions = sequences.flatMap((sequence) => sequence.positions ?? []);
    const { sizes, inputs } = model.batch(ids, tileRows, ...(positions.length > 0 ? [positions] : []));
    this.#batchTokens += sizes['T'] ?? 0;
    const [logits] = await plan.run(sizes, inputs);
    answer(tickets, logits!);
  }

  #fail(reason: WgrankError): void {
    this.#failure ??= reason;
    this.#queue.rejectAll(this.#failure, this.#jobs);
  }
}

function cancelled(): WgrankError {
  return new WgrankError('cancelled', 'engine', 'the caller aborted');
}
