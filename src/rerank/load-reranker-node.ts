import type { PromptEncoderOptions } from '../text/create-prompt-encoder-node.ts';
import { createReranker } from './create-reranker.ts';
import { createRequestEncoder, type MediaOptions } from './create-request-encoder-node.ts';
import { tokensBeyond, type Engine, type EngineOptions } from './engine.ts';
import { loadEngine } from './load-engine-node.ts';
import { ownReranker, type LoadedReranker } from './own-reranker.ts';

/** What an engine and an encoder take; each part documents its own. */
export interface RerankerOptions
  extends EngineOptions, Pick<PromptEncoderOptions, 'chatTemplate' | 'escapeSpecialTokens' | 'workers'> {
  /** False refuses pairs that are too long (`input-too-long`) instead of cutting the document. Default true. */
  readonly truncate?: boolean;
  /** Where pictures and clips may come from. Default: out of the request only, as `data:` URIs or bare base64. */
  readonly media?: MediaOptions;
}

/**
 * Loads a model folder: engine, tokenizer threads and all.
 * @param startEngine default: an engine in this process, which allows one per process, and none in a worker thread
 * @throws WgrankError whatever the folder, the configuration, the chat template or the adapter does not allow, by name
 */
export async function loadReranker(
  options: RerankerOptions,
  startEngine: (options: EngineOptions) => Promise<Engine> = loadEngine,
): Promise<LoadedReranker> {
  const engine = await startEngine(options);
  try {
    const { kind, architecture, maxTokens } = engine.info;
    const encoder = await createRequestEncoder({
      ...options,
      truncate: options.truncate ?? true,
      kind,
      architecture,
      maxLength: maxTokens - tokensBeyond(kind),
    });
    return ownReranker(createReranker({ engine, encoder }));
  } catch (reason) {
    await engine.close();
    throw reason;
  }
}
