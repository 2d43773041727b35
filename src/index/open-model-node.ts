import { resolve } from 'node:path';
import { WgrankError } from '../errors.ts';
import { resolveModel } from '../hub/resolve-model-node.ts';
import type { Engine, EngineOptions } from '../rerank/engine.ts';
import { loadEngine } from '../rerank/load-engine-node.ts';
import { loadReranker, type RerankerOptions } from '../rerank/load-reranker-node.ts';
import type { LoadedReranker } from '../rerank/own-reranker.ts';
import { spawnEngine } from '../server/engine-process.ts';
import { SupervisedEngine } from '../server/supervised-engine.ts';

export interface LoadOptions extends Omit<RerankerOptions, 'modelDir' | 'model'> {
  /**
   * True runs the engine in a child process that is started again when the GPU side fails, as the server does: the event loop stays
   * free, and it works in worker threads too. Default false: an engine in this process, one per process and in its main thread.
   */
  readonly isolate?: boolean;
}

/**
 * Loads a model for this application; wgrank downloads nothing.
 * @param model a folder in Hugging Face layout, an embedded model's name, or a hub id `org/name[@revision]` in the local cache
 * @returns a reranker that may be called concurrently, and has to be closed
 * @throws WgrankError `model-not-found`, and whatever the folder, the options or the adapter do not allow, by name
 */
export async function openModel(model: string, options: LoadOptions = {}): Promise<LoadedReranker> {
  if (typeof model !== 'string')
    throw new WgrankError(
      'input-invalid',
      'load',
      `the model is a ${typeof model} (a folder, an embedded name or an id)`,
    );
  const { isolate = false, ...ofModel } = options;
  const { dir } = await resolveModel(model);
  // Absolute, as a child that is started again later would read it from wherever the application has gone.
  return loadReranker({ ...ofModel, modelDir: resolve(dir), model }, isolate ? startIsolated : loadEngine);
}

function startIsolated({
  modelDir,
  model,
  dtype,
  maxLength,
  sharePrefix,
  maxBatchTokens,
}: EngineOptions): Promise<Engine> {
  const options: EngineOptions = {
    modelDir,
    ...(model !== undefined && { model }),
    ...(dtype !== undefined && { dtype }),
    ...(maxLength !== undefined && { maxLength }),
    ...(sharePrefix !== undefined && { sharePrefix }),
    ...(maxBatchTokens !== undefined && { maxBatchTokens }),
  };
  return SupervisedEngine.start({ spawn: (signal, standby) => spawnEngine(options, { signal, standby }) });
}
