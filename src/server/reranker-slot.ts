import type { Reranker } from '../rerank/reranker.ts';
import { HttpRefusal } from './error-answer.ts';

/** `failed`: the engine's process ended; `stopping`: the server drains. */
export type Readiness = 'loading' | 'ready' | 'failed' | 'stopping';

const sentences: Record<Exclude<Readiness, 'ready'>, string> = {
  loading: 'The model is still loading. Please retry later.',
  failed: 'The engine has stopped: the server has to be restarted.',
  stopping: 'The server is shutting down.',
};

/** Where routes get the model from: empty while it loads, filled when it is ready, emptied when its engine ends. */
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

  empty(readiness: Exclude<Readiness, 'ready'>): void {
    if (this.#readiness === 'stopping') return;
    this.#reranker = undefined;
    this.#readiness = readiness;
  }

  /** @throws HttpRefusal 503 with Retry-After while there is no model to ask */
  take(): Reranker {
    if (this.#reranker !== undefined) return this.#reranker;
    if (this.#readiness === 'ready') throw new Error('a ready slot holds a reranker');
    // A client that keeps its connection would otherwise hold up the drain and meet the same refusal again.
    const headers: Record<string, string> = this.#readiness === 'stopping' ? { Connection: 'close' } : {};
    const retry = this.#readiness !== 'failed';
    throw new HttpRefusal(503, sentences[this.#readiness], { type: '503', headers, retry });
  }
}
