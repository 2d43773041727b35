import express, { type Express, type RequestHandler } from 'express';
import type { ModelKind } from '../rerank/engine.ts';
import type { Reranker } from '../rerank/reranker.ts';
import type { Admission } from './admission.ts';
import { readDialectPrefix } from './dialect-prefix.ts';
import type { ApiDialect } from './dialects/choose-dialect.ts';
import { answerErrors, refuseMethod, refuseUnknownRoute } from './error-answer.ts';
import { routeFinder } from './find-route.ts';
import { readJsonBody } from './json-body.ts';
import { ModelDirectory } from './model-directory.ts';
import { describeApi } from './openapi.ts';
import { readPackageVersion } from './package-version.ts';
import { localsOf } from './request-locals.ts';
import type { RerankerSlot } from './reranker-slot.ts';
import { listRoutes, type Route } from './routes.ts';

export interface AppOptions {
  /** Name of a single model; default: its path as given. Several have theirs in the directory. */
  readonly servedModelName?: string;
  /** What `/v1/rerank` speaks without a prefix; default SGLang's bare array. */
  readonly apiDialect?: ApiDialect;
  /** Bytes of a request body; default 16 MiB, which models that see need more of: see `defaultBodyBytes`. */
  readonly maxBodyBytes?: number;
  /** Documents of one request; default 1,000. */
  readonly maxDocuments?: number;
  /**
   * Run for every request in this order: access control, accounting. The dialect's prefix is off the path by then, so that a
   * failure is answered in the client's own format.
   */
  readonly before?: readonly RequestHandler[];
  /** Bounds what requests hold; default: nothing does. */
  readonly admission?: Admission;
  /** Milliseconds for an answer, after which it is 504; 0, the default: any time. */
  readonly requestTimeoutMs?: number;
  /** Answers `GET /metrics`; default: there is no such route. */
  readonly metrics?: RequestHandler;
  /** Whether pairs that are too long are cut, for `/info`; default true. */
  readonly truncate?: boolean;
  /** For `/info`. */
  readonly tokenizerWorkers?: number;
  /** Receives one line per failure that is the server's own. Default: nothing is logged. */
  readonly log?: (line: string) => void;
}

export const defaultMaxBodyBytes = 16 * 1024 * 1024;
/** For models that take pictures and clips. */
const defaultMaxMediaBodyBytes = 64 * 1024 * 1024;
export const defaultMaxDocuments = 1000;

/** The largest body where the operator names none. */
export function defaultBodyBytes(kind: ModelKind): number {
  return kind === 'vl-decoder' ? defaultMaxMediaBodyBytes : defaultMaxBodyBytes;
}

/**
 * The HTTP application: no listening, no environment, no process state.
 * @param model a reranker, a slot that is filled once one has loaded, or several by name; until one is loaded everything but
 * `/health` answers 503
 */
export function createApp(model: Reranker | RerankerSlot | ModelDirectory, options: AppOptions = {}): Express {
  const maxDocuments = options.maxDocuments ?? defaultMaxDocuments;
  const version = readPackageVersion();
  const routes: readonly Route[] = listRoutes({
    models: ModelDirectory.of(model, options.servedModelName),
    readBody: readJsonBody(
      {
        maxBodyBytes: options.maxBodyBytes ?? defaultMaxBodyBytes,
        maxJsonDepth: 32,
        maxJsonKeys: Math.max(10_000, 10 * maxDocuments),
        maxJsonValues: Math.max(50_000, 50 * maxDocuments),
      },
      options.admission,
    ),
    facts: {
      version,
      maxDocuments,
      truncate: options.truncate ?? true,
      tokenizerWorkers: options.tokenizerWorkers,
      maxConcurrentRequests: options.admission?.maxRequests,
      startedAt: Math.floor(Date.now() / 1000),
    },
    apiDialect: options.apiDialect ?? 'sglang',
    requestTimeoutMs: options.requestTimeoutMs ?? 0,
    metrics: options.metrics,
    showOpenApi: (_request, response) => void response.json((document ??= describeApi(routes, version))),
  });
  let document: object | undefined;

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(readDialectPrefix(routeFinder(routes)));
  if (options.before?.length) app.use(...options.before);
  for (const route of routes) addRoute(app, route);
  app.use(refuseUnknownRoute);
  app.use(answerErrors(options.log ?? (() => undefined)));
  return app;
}

function addRoute(app: Express, { path, methods, handlers, only }: Route): void {
  const route = app.route(path);
  if (only) route.all((_request, response, next) => next(localsOf(response).dialect === only ? undefined : 'route'));
  for (const method of methods) route[method](...handlers);
  route.all(
    refuseMethod(...methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))),
  );
}
