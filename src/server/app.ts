import express, { type Express } from 'express';
import type { ModelKind } from '../rerank/engine.ts';
import type { Reranker } from '../rerank/reranker.ts';
import { answerErrors, refuseMethod, refuseUnknownRoute } from './error-answer.ts';
import { readJsonBody } from './json-body.ts';
import { listModels, showModel, showModelInfo } from './model-routes.ts';
import { answerRerank } from './rerank-route.ts';
import { RerankerSlot } from './reranker-slot.ts';

export interface AppOptions {
  /** Name in `/v1/models`; default: the model path as given. */
  readonly servedModelName?: string;
  /** Bytes of a request body; default 16 MiB, which models that see need more of: see `defaultBodyBytes`. */
  readonly maxBodyBytes?: number;
  /** Documents of one request; default 1,000. */
  readonly maxDocuments?: number;
  /** Receives one line per failure that is the server's own. Default: nothing is logged. */
  readonly log?: (line: string) => void;
}

const defaultMaxBodyBytes = 16 * 1024 * 1024;
/** For models that take pictures and clips. */
const defaultMaxMediaBodyBytes = 64 * 1024 * 1024;
export const defaultMaxDocuments = 1000;

/** The largest body where the operator names none. */
export function defaultBodyBytes(kind: ModelKind): number {
  return kind === 'vl-decoder' ? defaultMaxMediaBodyBytes : defaultMaxBodyBytes;
}

/**
 * The HTTP application: no listening, no environment, no process state.
 * @param model a reranker, or a slot that is filled once one has loaded; until then everything but `/health` answers 503
 */
export function createApp(model: Reranker | RerankerSlot, options: AppOptions = {}): Express {
  const slot = model instanceof RerankerSlot ? model : filledSlot(model);
  const maxDocuments = options.maxDocuments ?? defaultMaxDocuments;
  const naming = { servedModelName: options.servedModelName, startedAt: Math.floor(Date.now() / 1000) };
  const readBody = readJsonBody({
    maxBodyBytes: options.maxBodyBytes ?? defaultMaxBodyBytes,
    maxJsonDepth: 32,
    maxJsonKeys: Math.max(10_000, 10 * maxDocuments),
    maxJsonValues: Math.max(50_000, 50 * maxDocuments),
  });
  const requireModel: express.RequestHandler = (_request, _response, next) => {
    slot.take();
    next();
  };

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);

  const rerank = [requireModel, ...readBody, answerRerank(slot, { maxDocuments })];
  app.route('/v1/rerank').post(rerank).put(rerank).all(refuseMethod('POST', 'PUT'));

  const get = (path: string, handler: express.RequestHandler) =>
    app.route(path).get(handler).all(refuseMethod('GET', 'HEAD'));
  get('/health', (_request, response) => void response.json({ status: 'ok' }));
  get('/ready', (_request, response) => {
    slot.take();
    response.json({ status: 'ready' });
  });
  get('/v1/models', listModels(slot, naming));
  get('/v1/models/*id', showModel(slot, naming));
  get('/model_info', showModelInfo(slot));
  get('/get_model_info', showModelInfo(slot));

  app.use(refuseUnknownRoute);
  app.use(answerErrors(options.log ?? (() => undefined)));
  return app;
}

function filledSlot(reranker: Reranker): RerankerSlot {
  const slot = new RerankerSlot();
  slot.fill(reranker);
  return slot;
}
