import type { RequestHandler } from 'express';
import { z } from 'zod';
import { readableTokens } from '../rerank/engine.ts';
import { HttpRefusal } from './error-answer.ts';
import type { ModelDirectory, TakenModel } from './model-directory.ts';
import { localsOf } from './request-locals.ts';

/** What `/info` says besides what the engine knows. */
export interface InfoFacts {
  readonly version: string;
  readonly maxDocuments: number;
  /** Pairs that are too long are cut unless a request says otherwise. */
  readonly truncate: boolean;
  readonly tokenizerWorkers?: number | undefined;
  /** Requests that are worked on at once at the most. */
  readonly maxConcurrentRequests?: number | undefined;
  /** Unix seconds. */
  readonly startedAt: number;
}

export const modelCardAnswer = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  root: z.string(),
  max_model_len: z.int(),
});
export const modelListAnswer = z.object({ object: z.literal('list'), data: z.array(modelCardAnswer) });

/** OpenAI's model object with SGLang's `root` and `max_model_len`. */
function modelCard({ name: id, reranker }: TakenModel, { startedAt: created }: InfoFacts) {
  const max_model_len = readableTokens(reranker.info);
  return { id, object: 'model', created, owned_by: 'wgrank', root: id, max_model_len };
}

/** `GET /v1/models`, and `/models` as Infinity's users call it. */
export function listModels(models: ModelDirectory, facts: InfoFacts): RequestHandler {
  return (_request, response) => {
    response.json({ object: 'list', data: models.listLoaded().map((model) => modelCard(model, facts)) });
  };
}

/** `GET /v1/models/*id`: ids contain slashes. */
export function showModel(models: ModelDirectory, facts: InfoFacts): RequestHandler {
  return (request, response) => {
    const cards = models.listLoaded().map((model) => modelCard(model, facts));
    const segments: unknown = request.params.id;
    const asked = Array.isArray(segments) ? segments.join('/') : String(segments);
    // A model path starts with a slash, which the wildcard swallows.
    const card = cards.find(({ id }) => asked === id || `/${asked}` === id);
    if (card !== undefined) return void response.json(card);
    throw new HttpRefusal(404, 'The model does not exist', { type: 'NotFoundError' });
  };
}

export const sglangModelInfo = z.object({
  model_path: z.string(),
  tokenizer_path: z.string(),
  is_generation: z.boolean(),
  preferred_sampling_params: z.null(),
  weight_version: z.literal('default'),
  has_image_understanding: z.boolean(),
  has_audio_understanding: z.literal(false),
  architectures: z.array(z.string()),
});

/** `GET /model_info` and its older name `/get_model_info`: SGLang's start-up probes read them. */
export function showModelInfo(models: ModelDirectory): RequestHandler {
  return (_request, response) => {
    const { info } = models.first().reranker;
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

const dtypes = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;
const dtypeName = z.enum(['float32', 'float16', 'bfloat16']);

export const sglangServerInfo = z.object({
  model_path: z.string(),
  tokenizer_path: z.string(),
  served_model_name: z.string(),
  dtype: dtypeName,
  context_length: z.int(),
  tp_size: z.literal(1),
  dp_size: z.literal(1),
  status: z.literal('ready'),
  version: z.string(),
});

/** `GET /server_info` and its older name `/get_server_info`: those of SGLang's keys that mean something here. */
export function showServerInfo(models: ModelDirectory, { version }: InfoFacts): RequestHandler {
  return (_request, response) => {
    const { name, reranker } = models.first();
    const { info } = reranker;
    response.json({
      model_path: info.model,
      tokenizer_path: info.model,
      served_model_name: name,
      dtype: dtypes[info.dtype],
      context_length: readableTokens(info),
      tp_size: 1,
      dp_size: 1,
      status: 'ready',
      version,
    });
  };
}

export const teiInfo = z.object({
  model_id: z.string(),
  model_sha: z.null(),
  model_dtype: dtypeName,
  served_model_name: z.string(),
  model_type: z.object({
    reranker: z.object({ id2label: z.record(z.string(), z.string()), label2id: z.record(z.string(), z.int()) }),
  }),
  max_concurrent_requests: z.int().nullable(),
  max_input_length: z.int(),
  max_batch_tokens: z.int(),
  max_batch_requests: z.null(),
  max_client_batch_size: z.int(),
  auto_truncate: z.boolean(),
  tokenization_workers: z.int().nullable(),
  version: z.string(),
  sha: z.null(),
  docker_label: z.null(),
  wgrank: z.looseObject({
    models: z.array(z.string()),
    kind: z.string(),
    architecture: z.string(),
    adapter: z.string(),
    software_adapter: z.boolean(),
    warnings: z.array(z.string()),
  }),
});

/** `GET /info` as TEI has it, of the first model; what it has no key for stands under `wgrank`. */
export function showInfo(models: ModelDirectory, facts: InfoFacts): RequestHandler {
  return (_request, response) => {
    const { name, reranker } = models.first();
    const { info } = reranker;
    response.json({
      model_id: info.model,
      model_sha: null,
      model_dtype: dtypes[info.dtype],
      served_model_name: name,
      model_type: { reranker: { id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } } },
      max_concurrent_requests: facts.maxConcurrentRequests ?? null,
      max_input_length: readableTokens(info),
      max_batch_tokens: info.maxBatchTokens,
      max_batch_requests: null,
      max_client_batch_size: facts.maxDocuments,
      auto_truncate: facts.truncate,
      tokenization_workers: facts.tokenizerWorkers ?? null,
      version: facts.version,
      sha: null,
      docker_label: null,
      wgrank: {
        models: models.listLoaded().map((model) => model.name),
        kind: info.kind,
        architecture: info.architecture,
        adapter: info.adapter,
        software_adapter: info.software,
        warnings: info.warnings,
      },
    });
  };
}

export const statusAnswer = z.object({ status: z.string() });
export const versionAnswer = z.object({ version: z.string() });

/** `GET /health`: the process is alive. TEI's users ask whether the model answers. */
export function showHealth(models: ModelDirectory): RequestHandler {
  const showTei = showReadiness(models);
  return (request, response, next) => {
    if (localsOf(response).dialect === 'tei') return showTei(request, response, next);
    response.json({ status: 'ok' });
  };
}

/** `GET /ready`: every model answers. TEI's users expect an empty body. */
export function showReadiness(models: ModelDirectory): RequestHandler {
  return (_request, response) => {
    models.requireAll();
    if (localsOf(response).dialect === 'tei') response.end();
    else response.json({ status: 'ready' });
  };
}
