import { AnswerReader, type Fields } from './answer-reader.ts';
import type { Content } from './content.ts';
import type { Answer } from './transport.ts';

/** Tokens of all pairs, those beyond `topN` included. */
export interface Usage {
  readonly promptTokens: number;
  readonly totalTokens: number;
}

export interface RankedDocument {
  /** Position in the request. */
  readonly index: number;
  /** 0 … 1: sigmoid of the model's logit; with `rawScores` the logit itself. */
  readonly score: number;
  /** The model's raw answer. This and the two below are absent where the server does not tell them. */
  readonly logit?: number;
  readonly promptTokens?: number;
  /** Tokens of query and document that were cut; 0: it was read whole. */
  readonly truncatedTokens?: number;
  /** As it was given; with `returnDocuments`. */
  readonly document?: Content;
}

export interface RerankAnswer {
  /** Of the request, as in the server's log. */
  readonly id: string;
  /** Name of the model that answered. */
  readonly model: string;
  /** Best first. */
  readonly results: readonly RankedDocument[];
  readonly usage: Usage;
  /** Sentences for people: how many documents were cut. */
  readonly warnings: readonly string[];
}

export interface ScoreAnswer {
  readonly id: string;
  readonly model: string;
  /** One for each pair, in the pairs' order: 0 … 1, or logits with `rawScores`. */
  readonly scores: readonly number[];
  readonly usage: Usage;
}

export interface ModelCard {
  /** What `model` in a request may say. */
  readonly id: string;
  /** Longest pair in tokens. */
  readonly maxTokens: number;
}

/** Of the server and its first model. */
export interface ServerInfo {
  readonly version: string;
  /** Folder or id as the operator gave it. */
  readonly model: string;
  readonly servedName: string;
  /** Names of all models that answer. */
  readonly models: readonly string[];
  /** `cross-encoder`, `text-decoder` or `vl-decoder`; the last one sees pictures and clips. */
  readonly kind: string;
  readonly architecture: string;
  /** What weights are stored as: `float32`, `float16` or `bfloat16`. */
  readonly dtype: string;
  readonly adapter: string;
  /** The adapter is a software rasteriser. */
  readonly software: boolean;
  /** Longest pair in tokens. */
  readonly maxTokens: number;
  readonly maxBatchTokens: number;
  /** Of one request. */
  readonly maxDocuments: number;
  /** Pairs that are too long are cut unless a request says otherwise. */
  readonly truncates: boolean;
  readonly warnings: readonly string[];
}

/** @param expected what was asked: as many results, each of another document, and no other number of them */
export function readRanked(
  { json, facts }: Answer,
  expected: { readonly documents: readonly Content[]; readonly results: number; readonly returnDocuments: boolean },
): RerankAnswer {
  const read = new AnswerReader(facts);
  const body = read.record(json, 'body');
  const list = read.list(body['results'], 'results');
  if (list.length !== expected.results) read.refuse('results', list, `a list of ${expected.results}`);
  const seen = new Set<number>();
  const results = list.map((one, i): RankedDocument => {
    const where = `results[${i}]`;
    const fields = read.record(one, where);
    const index = read.count(fields['index'], `${where}.index`, expected.documents.length);
    if (seen.has(index)) read.refuse(`${where}.index`, index, 'each document once');
    seen.add(index);
    return {
      index,
      score: read.finite(fields['relevance_score'], `${where}.relevance_score`),
      ...readMetaInfo(read, fields['meta_info'], `${where}.meta_info`),
      ...(expected.returnDocuments && { document: expected.documents[index]! }),
    };
  });
  const meta = body['meta'] === undefined ? {} : read.record(body['meta'], 'meta');
  const warnings = meta['warnings'] === undefined ? [] : read.texts(meta['warnings'], 'meta.warnings');
  return { ...readHead(read, body), results, warnings };
}

function readMetaInfo(read: AnswerReader, value: unknown, where: string) {
  if (value === undefined) return {};
  const fields = read.record(value, where);
  return {
    logit: read.finite(fields['logit'], `${where}.logit`),
    promptTokens: read.count(fields['prompt_tokens'], `${where}.prompt_tokens`),
    truncatedTokens: read.count(fields['truncated_tokens'], `${where}.truncated_tokens`),
  };
}

export function readScored({ json, facts }: Answer, pairs: number): ScoreAnswer {
  const read = new AnswerReader(facts);
  const body = read.record(json, 'body');
  const list = read.list(body['data'], 'data');
  if (list.length !== pairs) read.refuse('data', list, `a list of ${pairs}`);
  const scores = list.map((one, i) => {
    const fields = read.record(one, `data[${i}]`);
    if (fields['index'] !== i) read.refuse(`data[${i}].index`, fields['index'], `${i}, the order of the pairs`);
    return read.finite(fields['score'], `data[${i}].score`);
  });
  return { ...readHead(read, body), scores };
}

function readHead(read: AnswerReader, body: Fields) {
  const usage = read.record(body['usage'], 'usage');
  return {
    id: read.text(body['id'], 'id'),
    model: read.text(body['model'], 'model'),
    usage: {
      promptTokens: read.count(usage['prompt_tokens'], 'usage.prompt_tokens'),
      totalTokens: read.count(usage['total_tokens'], 'usage.total_tokens'),
    },
  };
}

export function readModels({ json, facts }: Answer): ModelCard[] {
  const read = new AnswerReader(facts);
  return read.list(read.record(json, 'body')['data'], 'data').map((one, i) => {
    const card = read.record(one, `data[${i}]`);
    return {
      id: read.text(card['id'], `data[${i}].id`),
      maxTokens: read.count(card['max_model_len'], `data[${i}].max_model_len`),
    };
  });
}

export function readInfo({ json, facts }: Answer): ServerInfo {
  const read = new AnswerReader(facts);
  const body = read.record(json, 'body');
  const own = read.record(body['wgrank'], 'wgrank');
  return {
    version: read.text(body['version'], 'version'),
    model: read.text(body['model_id'], 'model_id'),
    servedName: read.text(body['served_model_name'], 'served_model_name'),
    models: read.texts(own['models'], 'wgrank.models'),
    kind: read.text(own['kind'], 'wgrank.kind'),
    architecture: read.text(own['architecture'], 'wgrank.architecture'),
    dtype: read.text(body['model_dtype'], 'model_dtype'),
    adapter: read.text(own['adapter'], 'wgrank.adapter'),
    software: read.flag(own['software_adapter'], 'wgrank.software_adapter'),
    maxTokens: read.count(body['max_input_length'], 'max_input_length'),
    maxBatchTokens: read.count(body['max_batch_tokens'], 'max_batch_tokens'),
    maxDocuments: read.count(body['max_client_batch_size'], 'max_client_batch_size'),
    truncates: read.flag(body['auto_truncate'], 'auto_truncate'),
    warnings: read.texts(own['warnings'], 'wgrank.warnings'),
  };
}
