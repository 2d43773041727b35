import type { RequestHandler } from 'express';
import { tokensBeyond, type EngineInfo } from '../rerank/engine.ts';
import { HttpRefusal } from './error-answer.ts';
import type { RerankerSlot } from './reranker-slot.ts';

/** How `/v1/models` names the model. */
export interface ModelNaming {
  /** Default: the model path as the operator gave it, as SGLang does. */
  readonly servedModelName: string | undefined;
  /** Unix seconds. */
  readonly startedAt: number;
}

/** OpenAI's model object with SGLang's `root` and `max_model_len`. */
function modelCard(info: EngineInfo, naming: ModelNaming) {
  const id = naming.servedModelName ?? info.model;
  return {
    id,
    object: 'model',
    created: naming.startedAt,
    owned_by: 'wgrank',
    root: id,
    max_model_len: info.maxTokens - tokensBeyond(info.kind),
  };
}

/** `GET /v1/models` */
export function listModels(slot: RerankerSlot, naming: ModelNaming): RequestHandler {
  return (_request, response) => {
    response.json({ object: 'list', data: [modelCard(slot.take().info, naming)] });
  };
}

/** `GET /v1/models/*id`: ids contain slashes. */
export function showModel(slot: RerankerSlot, naming: ModelNaming): RequestHandler {
  return (request, response) => {
    const card = modelCard(slot.take().info, naming);
    const segments: unknown = request.params.id;
    const asked = Array.isArray(segments) ? segments.join('/') : String(segments);
    // A model path starts with a slash, which the wildcard swallows.
    if (asked !== card.id && `/${asked}` !== card.id) throw new HttpRefusal(404, 'The model does not exist');
    response.json(card);
  };
}

/** `GET /model_info` and its older name `/get_model_info`: SGLang's start-up probes read them. */
export function showModelInfo(slot: RerankerSlot): RequestHandler {
  return (_request, response) => {
    const { info } = slot.take();
    response.json({
      model_path: info.model,
      tokenizer_path: info.model,
      is_generation: info.kind !== 'cross-encoder',
      preferred_sampling_params: null,
      weight_version: 'default',
      has_image_understanding: info.kind === 'vl-decoder',
      has_audio_understanding: false,
      architectures: [info.architecture],
    });
  };
}
