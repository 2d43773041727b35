import type { Reranker } from '../rerank/reranker.ts';
import { HttpRefusal } from './error-answer.ts';

/**
 * `restarting`: the engine is started again, and calls wait for it; `broken`: it was lost again and again, and calls are refused
 * until it is back; `failed`: the model could not be loaded; `stopping`: the server drains.
 */
export type Readiness = 'loading' | 'ready' | 'restarting' | 'broken' | 'failed' | 'stopping';

const sentences: Record<Exclude<Readiness, 'ready'>, string> = {
  loading: 'The model is still loading. Please retry later.',
  restarting: 'The engine is being started again. Please retry later.',
  broken: 'The engine was lost several times and is being started again. Please retry later.',
  failed: 'The model could not be loaded: the server has to be restarted.',
  stopping: 'The server is shutting down.',
};

/** Where routes get the model from: empty while it loads, filled when it is ready. */
export class RerankerSlot {
  #reranker: Reranker | undefined;
  #readiness: Readiness = 'loading';

  get readiness(): Readiness {
    return this.#readiness;
  }

  fill(reranker: Reranker): void {
    if (this.#readiness === 'stopping') return;
    this.#reranker = reranker;
    this.#readiness = 'ready';
  }

  /** What the engine of a filled slot is doing. */
  mark(readiness: 'ready' | 'restarting' | 'broken'): void {
    if (this.#reranker !== undefined && this.#readiness !== 'stopping') this.#readiness = readiness;
  }

  /** The model could not be loaded. */
  fail(): void {
    if (this.#readiness !== 'stopping') this.#readiness = 'failed';
  }

  /** Not ready from now on. Requests that are here, or come on connections that are open, are still answered. */
  stop(): void {
    this.#readiness = 'stopping';
  }

  /**
   * The model for a request, which may have to wait for its engine.
   * @throws HttpRefusal 503 while there is no model to ask
   */
  take(): Reranker {
    if (this.#reranker !== undefined && this.#readiness !== 'broken') return this.#reranker;
    throw this.#refusal();
  }

  /** @throws HttpRefusal 503 unless a request would be answered without delay */
  requireReady(): void {
    if (this.#readiness !== 'ready') throw this.#refusal();
  }

  /** What the model is, while it is loaded, whatever its engine does. */
  get loaded(): Reranker | undefined {
    return this.#reranker;
  }

  #refusal(): HttpRefusal {
    if (this.#readiness === 'ready') throw new Error('a ready slot holds a reranker');
    return new HttpRefusal(503, sentences[this.#readiness], { type: '503', retry: this.#readiness !== 'failed' });
  }
}
