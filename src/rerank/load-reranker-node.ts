import { createPairEncoder } from '../text/create-pair-encoder-node.ts';
import { createReranker } from './create-reranker.ts';
import type { EngineOptions } from './engine.ts';
import { loadEngine } from './load-engine-node.ts';
import type { Reranker } from './reranker.ts';

export interface RerankerOptions extends EngineOptions {
  /** False refuses pairs that are too long (`input-too-long`) instead of cutting the document. Default true. */
  readonly truncate?: boolean;
  /** Threads that tokenise; default one less than the cores, 1 to 4. */
  readonly tokenizerWorkers?: number;
}

/**
 * Loads a model folder into this process: engine, tokenizer threads and all. One per process, and not in a worker thread.
 * @throws WgrankError whatever the folder, the configuration or the adapter does not allow, by name
 */
export async function loadReranker(options: RerankerOptions): Promise<Reranker> {
  const { modelDir, truncate = true, tokenizerWorkers: workers } = options;
  const engine = await loadEngine(options);
  try {
    const maxLength = engine.info.maxTokens;
    const encoder = await createPairEncoder({
      modelDir,
      maxLength,
      truncate,
      ...(workers !== undefined && { workers }),
    });
    return createReranker({ engine, encoder });
  } catch (reason) {
    await engine.close();
    throw reason;
  }
}
