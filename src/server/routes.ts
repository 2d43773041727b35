import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { ApiDialect, RankRoute } from './dialects/choose-dialect.ts';
import type { DialectName } from './dialects/dialect.ts';
import { sendDocsFile, showDocs } from './docs-page.ts';
import type { ErrorShape } from './error-bodies.ts';
import {
  listModels,
  showHealth,
  showInfo,
  showModel,
  showModelInfo,
  showReadiness,
  showServerInfo,
  type InfoFacts,
} from './info-routes.ts';
import type { ModelDirectory } from './model-directory.ts';
import type { SchemaName } from './openapi-schemas.ts';
import { answerRerank, type CallLimits } from './rerank-route.ts';
import { answerScore } from './score-route.ts';

/** A path, what answers there, and what the OpenAPI document says of it. */
export interface Route {
  /** As Express has it: `/v1/models/*id`. */
  readonly path: string;
  readonly methods: readonly ('get' | 'post' | 'put')[];
  readonly handlers: readonly (RequestHandler | ErrorRequestHandler)[];
  /** Unknown to every other wire format, and without a prefix. */
  readonly only?: DialectName;
  /** Shape of errors without a prefix. */
  readonly errors: ErrorShape;
  readonly about: RouteAbout;
}

export interface RouteAbout {
  readonly summary: string;
  readonly tag: 'rerank' | 'score' | 'models' | 'server';
  /** Bodies that are read there: which one, the wire format decides. */
  readonly bodies?: readonly SchemaName[];
  /** JSON answers, or the media type of another. */
  readonly answers: readonly SchemaName[] | string;
}

export interface RouteParts {
  readonly models: ModelDirectory;
  readonly readBody: readonly (RequestHandler | ErrorRequestHandler)[];
  readonly facts: InfoFacts;
  readonly apiDialect: ApiDialect;
  /** Milliseconds; 0: any time. */
  readonly requestTimeoutMs: number;
  readonly metrics: RequestHandler | undefined;
  readonly showOpenApi: RequestHandler;
}

/** Every route of the server, the busiest first. */
export function listRoutes(parts: RouteParts): Route[] {
  return [...rankRoutes(parts), ...scoreRoutes(parts), ...modelRoutes(parts), ...serverRoutes(parts)];
}

function rankRoutes(parts: RouteParts): Route[] {
  const { models, readBody, apiDialect } = parts;
  const route = (path: string, name: RankRoute, summary: string): Route => {
    const options = { ...limitsOf(parts), apiDialect };
    const isSglang = name === 'sglang' && apiDialect === 'sglang';
    return {
      path,
      methods: name === 'sglang' ? ['post', 'put'] : ['post'],
      handlers: [requireModel(models), ...readBody, answerRerank(models, name, options)],
      errors: isSglang ? 'sglang' : 'superset',
      about: {
        summary,
        tag: 'rerank',
        bodies: name === 'nvidia' ? ['NvidiaRanking'] : rankBodies(isSglang),
        answers: name === 'nvidia' ? ['NvidiaRankings'] : rankAnswers(isSglang),
      },
    };
  };
  const alias = 'As /rerank, under another name';
  return [
    route('/v1/rerank', 'sglang', apiDialect === 'sglang' ? 'Rank documents, as SGLang' : 'Rank documents, as Jina'),
    route('/v2/rerank', 'v2', 'Rank documents, as Cohere’s second version'),
    route('/rerank', 'v1', 'Rank documents; texts as TEI, top_k as Voyage, else as Jina'),
    route('/v1/reranking', 'v1', alias),
    route('/reranking', 'v1', alias),
    route('/v1/reranks', 'v1', alias),
    route('/invocations', 'v1', 'As /rerank, where SageMaker asks'),
    route('/v1/ranking', 'nvidia', 'Rank passages, as NVIDIA'),
  ];
}

const rankBodies = (sglangFirst: boolean): SchemaName[] =>
  sglangFirst ? ['SglangRerank', 'Rerank', 'TeiRerank'] : ['Rerank', 'TeiRerank', 'SglangRerank', 'NvidiaRanking'];

const rankAnswers = (sglangFirst: boolean): SchemaName[] => {
  const objects = ['Ranked', 'JinaRanked', 'CohereRanked', 'VllmRanked', 'VoyageRanked', 'TeiRanked'] as const;
  return sglangFirst ? ['SglangRanked', ...objects] : [...objects, 'SglangRanked', 'NvidiaRankings'];
};

function scoreRoutes(parts: RouteParts): Route[] {
  const { models, readBody } = parts;
  const handlers = [requireModel(models), ...readBody, answerScore(models, limitsOf(parts))];
  return ['/v1/score', '/score'].map((path) => ({
    path,
    methods: ['post'],
    handlers,
    errors: 'superset',
    about: {
      summary: 'Score pairs in their order, as vLLM; under /sglang items by label tokens, as SGLang',
      tag: 'score',
      bodies: ['Score', 'SglangScore'],
      answers: ['Scored', 'SglangScored'],
    },
  }));
}

function limitsOf({ models, facts, requestTimeoutMs }: RouteParts): CallLimits {
  return { maxDocuments: facts.maxDocuments, requestTimeoutMs, kindOf: (model) => models.kindOf(model) };
}

function modelRoutes({ models, facts }: RouteParts): Route[] {
  // Their errors are told both ways: OpenAI's clients look for the message inside `error`, SGLang's beside it.
  return [
    get('/v1/models', listModels(models, facts), 'Models that answer', 'models', ['ModelList'], 'openai'),
    get('/v1/models/*id', showModel(models, facts), 'One model', 'models', ['Model'], 'openai'),
    get('/models', listModels(models, facts), 'As /v1/models', 'models', ['ModelList'], 'openai'),
    get('/model_info', showModelInfo(models), 'The first model, as SGLang', 'models', ['SglangModelInfo']),
    get('/get_model_info', showModelInfo(models), 'As /model_info', 'models', ['SglangModelInfo']),
    get('/server_info', showServerInfo(models, facts), 'The server, as SGLang', 'models', ['SglangServerInfo']),
    get('/get_server_info', showServerInfo(models, facts), 'As /server_info', 'models', ['SglangServerInfo']),
    get('/info', showInfo(models, facts), 'The first model and limits, as TEI', 'models', ['Info']),
  ];
}

function serverRoutes({ models, facts, metrics, showOpenApi }: RouteParts): Route[] {
  const version: RequestHandler = (_request, response) => void response.json({ version: facts.version });
  return [
    get('/health', showHealth(models), 'The process is alive; under /tei: as /ready', 'server', ['Status']),
    get('/ready', showReadiness(models), 'Every model answers', 'server', ['Status']),
    get('/ping', showReadiness(models), 'As /ready', 'server', ['Status']),
    get('/health_generate', showReadiness(models), 'As /ready, where SGLang’s balancers ask', 'server', ['Status']),
    get('/version', version, 'Version of the server', 'server', ['Version']),
    ...(metrics ? [get('/metrics', metrics, 'Prometheus metrics', 'server', 'text/plain')] : []),
    get('/openapi.json', showOpenApi, 'This document', 'server', 'application/json'),
    get('/api-doc/openapi.json', showOpenApi, 'As /openapi.json, where TEI has it', 'server', 'application/json'),
    get('/docs', showDocs, 'This document to read and try', 'server', 'text/html'),
    get('/docs/:file', sendDocsFile(), 'Files of the page', 'server', '*/*'),
    { ...get('/', showHealth(models), 'Under /tei: as /ready', 'server', 'text/plain'), only: 'tei' },
  ];
}

function get(
  path: string,
  handler: RequestHandler,
  summary: string,
  tag: RouteAbout['tag'],
  answers: RouteAbout['answers'],
  errors: ErrorShape = 'sglang',
): Route {
  return { path, methods: ['get'], handlers: [handler], errors, about: { summary, tag, answers } };
}

/** Before a body is read that nobody could answer. */
function requireModel(models: ModelDirectory): RequestHandler {
  return (_request, _response, next) => {
    models.requireAny();
    next();
  };
}
