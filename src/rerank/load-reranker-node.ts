import { createEncoder } from '../text/create-encoder-node.ts';
import type { PromptEncoderOptions } from '../text/create-prompt-encoder-node.ts';
import { createReranker } from './create-reranker.ts';
import type { EngineOptions } from './engine.ts';
import { loadEngine } from './load-engine-node.ts';
import type { Reranker } from './reranker.ts';

/** What an engine and an encoder take; each part documents its own. */
export interface RerankerOptions
  extends EngineOptions, Pick<PromptEncoderOptions, 'chatTemplate' | 'escapeSpecialTokens' | 'workers'> {
  /** False refuses pairs that are too long (`input-too-long`) instead of cutting the document. Default true. */
  readonly truncate?: boolean;
}

/**
 * Loads a model folder into this process: engine, tokenizer threads and all. One per process, and not in a worker thread.
 * @throws WgrankError whatever the folder, the configuration, the chat template or the adapter does not allow, by name
 */
export async function loadReranker(options: RerankerOptions): Promise<Reranker> {
  const engine = await loadEngine(options);
  try {
    const { kind, architecture, maxTokens: maxLength } = engine.info;
    const encoder = await createEncoder({
      ...options,
      truncate: options.truncate ?? true,
      kind,
      architecture,
      maxLength,
    });
    return createReranker({ engine, encoder });
  } catch (reason) {
    await engine.close();
    throw reason;
  }
}
