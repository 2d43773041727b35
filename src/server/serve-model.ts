import { WgrankError } from '../errors.ts';
import type { RequestEncoder } from '../rerank/content-encoder.ts';
import type { MediaOptions, RequestEncoderOptions } from '../rerank/create-request-encoder-node.ts';
import { readableTokens, type Engine, type EngineInfo, type EngineOptions, type ModelKind } from '../rerank/engine.ts';
import type { Reranker } from '../rerank/reranker.ts';
import type { EngineProcess, SpawnOptions } from './engine-process.ts';
import { FairQueue } from './fair-queue.ts';
import type { MeteredModel } from './model-gauges.ts';
import type { OverloadedError } from './overloaded-error.ts';
import { RerankerSlot } from './reranker-slot.ts';
import { SupervisedEngine } from './supervised-engine.ts';

/** One model of a server. */
export interface ModelOptions {
  /** Folder of the checkpoint. */
  readonly modelDir: string;
  /** What the operator typed; the default name of the model. */
  readonly model: string;
  /** What config.json says: decides how texts are put together. */
  readonly kind: ModelKind;
  readonly architecture: string;
  /** Longest pair in tokens. */
  readonly maxLength: number;
  /** False refuses pairs that are too long instead of cutting them. */
  readonly truncate: boolean;
  /** File of a decoder's chat template; default: the checkpoint's own, else the built-in prompt. */
  readonly chatTemplate?: string;
  /** Special-token strings in requests are text. */
  readonly escapeSpecialTokens?: boolean;
  readonly dtype?: EngineOptions['dtype'];
  readonly maxBatchTokens?: number;
  readonly tokenizerWorkers?: number;
  /** Where pictures and clips may come from; for models that see. */
  readonly media?: MediaOptions;
  /** Tokens that wait at the most; default: what suits the batches. */
  readonly maxQueueTokens?: number;
  /** Calls that wait at the most; default 512. */
  readonly maxQueueRequests?: number;
}

/** What a model is put together from. */
export interface ModelParts {
  createEncoder(options: RequestEncoderOptions): Promise<RequestEncoder>;
  spawnEngine(options: EngineOptions, spawn: SpawnOptions): Promise<EngineProcess>;
  /** The reranker owns both: closing it closes them. */
  createReranker(parts: { engine: Engine; encoder: RequestEncoder }): Reranker;
}

export interface ModelListener {
  /** Lines for the operator. */
  log(line: string): void;
  /** Lines that the operator has to see. */
  warn(line: string): void;
  /** A slice of about a batch goes to the engine. */
  observeBatch?(pairs: number, tokens: number): void;
}

/** Pictures of a request are made ready while it waits: batches' worth of tokens that may wait for a model that sees. */
const queuedBatchesOfMedia = 4;

/** A model on its way from its folder to answers: tokeniser, engine, the queue in front of it, and whoever starts it again. */
export class ServedModel implements MeteredModel {
  readonly slot = new RerankerSlot();
  readonly name: string;
  readonly #options: ModelOptions;
  readonly #parts: ModelParts;
  readonly #listener: ModelListener;
  #engine: SupervisedEngine | undefined;
  #queue: FairQueue | undefined;

  constructor(options: ModelOptions, parts: ModelParts, listener: ModelListener, name = options.model) {
    this.name = name;
    this.#options = options;
    this.#parts = parts;
    this.#listener = listener;
  }

  get ready(): boolean {
    return this.slot.readiness === 'ready';
  }

  /** Whether requests for it may come in: while its engine is started again they wait. */
  get open(): boolean {
    return this.ready || this.slot.readiness === 'restarting';
  }

  get waitingCalls(): number | undefined {
    return this.#queue?.queue.waitingCalls;
  }

  get restarts(): number | undefined {
    return this.#engine?.counts.restarts;
  }

  get replays(): number | undefined {
    return this.#engine?.counts.replays;
  }

  async stats() {
    return this.#queue?.stats();
  }

  /** Why a request would be refused if it came now: no room in the queue. */
  refusal(group?: string): OverloadedError | undefined {
    return this.#queue?.refusal(group);
  }

  /**
   * Loads tokeniser and engine side by side, and fills the slot; when one fails the other is given up.
   * @throws WgrankError whatever loading throws; the slot says `failed` then
   */
  async load(stop: AbortSignal): Promise<EngineInfo> {
    try {
      const { engine, encoder } = await this.#loadParts(stop);
      const reranker = this.#parts.createReranker({ engine, encoder });
      if (stop.aborted) {
        await reranker.close();
        throw new WgrankError('cancelled', 'server', 'the server was stopped while the model was loading');
      }
      this.slot.fill(reranker);
      this.#mark();
      return engine.info;
    } catch (error) {
      this.slot.fail();
      throw error;
    }
  }

  async #loadParts(stop: AbortSignal) {
    const { kind, maxLength } = this.#options;
    const failed = new AbortController();
    const encoding = this.#createEncoder(maxLength);
    const starting = this.#startEngine(AbortSignal.any([stop, failed.signal]));
    try {
      let [encoder, engine] = await Promise.all([encoding, starting]);
      const fits = readableTokens({ kind, maxTokens: engine.info.maxTokens });
      if (fits < maxLength) {
        // The adapter binds less than the model reads: pairs are cut to what it does.
        await encoder.close();
        encoder = await this.#createEncoder(fits);
      }
      if (encoder.prompt !== undefined) this.#listener.log(`prompt   ${encoder.prompt}`);
      return { engine, encoder };
    } catch (error) {
      failed.abort();
      const settled = await Promise.allSettled([encoding, starting]);
      await Promise.all(settled.map((part) => (part.status === 'fulfilled' ? part.value.close() : undefined)));
      throw error;
    }
  }

  #createEncoder(maxLength: number): Promise<RequestEncoder> {
    const { kind, architecture, modelDir, truncate, chatTemplate, escapeSpecialTokens, media } = this.#options;
    const { tokenizerWorkers: workers } = this.#options;
    return this.#parts.createEncoder({
      kind,
      architecture,
      modelDir,
      truncate,
      chatTemplate,
      escapeSpecialTokens,
      workers,
      media,
      maxLength,
    });
  }

  async #startEngine(signal: AbortSignal): Promise<FairQueue> {
    const { modelDir, model, kind, maxLength, dtype, maxBatchTokens } = this.#options;
    const engineOptions: EngineOptions = {
      modelDir,
      model,
      maxLength,
      ...(dtype === undefined ? {} : { dtype }),
      ...(maxBatchTokens === undefined ? {} : { maxBatchTokens }),
    };
    const { warn } = this.#listener;
    const engine = await SupervisedEngine.start({
      spawn: (given, standby) => this.#parts.spawnEngine(engineOptions, { signal: given, standby }),
      signal,
      log: (line) => warn(`${this.name}: ${line}`),
      onLine: (line) => warn(`${this.name}: its engine prints: ${line}`),
      onStateChange: (state, reason) => {
        if (state === 'broken') warn(`${this.name}: requests get 503 until the engine is back: ${reason}`);
        this.#mark();
      },
    });
    const { maxQueueTokens, maxQueueRequests } = this.#options;
    const usualTokens = kind === 'vl-decoder' ? queuedBatchesOfMedia * engine.info.maxBatchTokens : undefined;
    const maxQueuedTokens = maxQueueTokens ?? usualTokens;
    const observeSlice = this.#listener.observeBatch?.bind(this.#listener);
    this.#engine = engine;
    this.#queue = new FairQueue(engine, {
      ...(maxQueuedTokens !== undefined && { maxQueuedTokens }),
      ...(maxQueueRequests !== undefined && { maxQueuedCalls: maxQueueRequests }),
      ...(observeSlice && { observeSlice }),
    });
    return this.#queue;
  }

  /** The engine may have been lost before the slot was filled. */
  #mark(): void {
    const state = this.#engine?.state;
    if (state !== undefined && state !== 'stopped') this.slot.mark(state);
  }
}
