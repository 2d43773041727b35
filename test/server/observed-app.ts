import express, { type RequestHandler } from 'express';
import { setTimeout as sleep } from 'node:timers/promises';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import type { ScoreOptions } from '../../src/rerank/rerank-phase.ts';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { answerErrors, refuseUnknownRoute } from '../../src/server/error-answer.ts';
import { localsOf } from '../../src/server/request-locals.ts';
import { notesOf, takeNotes, type RequestListener } from '../../src/server/request-notes.ts';
import { traceRequests } from '../../src/server/tracing.ts';
import { fakeInfo } from '../support/fake-engine.ts';
import { listen } from './guarded-app.ts';

/** Milliseconds of the fake queue. */
export const queueMs = 20;

/** A reranker over a fake encoder and an engine that has a queue; a document is cut to 8 tokens, one per character. */
const reranker = createReranker({
  encoder: {
    encode: async (_query, documents) => {
      await sleep(5);
      return documents.map((text) => ({
        ids: new Int32Array(Math.min(8, text.length)),
        truncatedTokens: Math.max(0, text.length - 8),
      }));
    },
    close: async () => undefined,
  },
  engine: {
    info: fakeInfo,
    score: async (pairs: readonly EnginePair[], _signal?: AbortSignal, options?: ScoreOptions) => {
      await sleep(queueMs + 10);
      options?.observe?.({ queuedMs: queueMs });
      if (pairs.length === 13) throw new TypeError('a bug');
      return new Float32Array(pairs.length);
    },
    stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
    close: async () => undefined,
  },
});

// Express 5 hands what an async handler rejects with to the error middleware.
const answer: RequestHandler = async (request, response) => {
  const { query, documents } = request.body as { query: string; documents: string[] };
  response.json(await reranker.rerank(query, documents, { observe: notesOf(response).observe }));
};

/** As the app does for each of its routes. */
function nameRoute(route: string, scoring = false): RequestHandler {
  return (_request, response, next) => {
    Object.assign(localsOf(response), { route, scoring });
    next();
  };
}

export interface ObservedOptions {
  readonly listeners: readonly RequestListener[];
  readonly apiKeys?: readonly string[];
  readonly log?: (line: string) => void;
}

/** The middlewares in their order, in front of a rerank route and two others. */
export async function startObserved({ listeners, apiKeys = [], log = () => undefined }: ObservedOptions) {
  const app = express();
  app.use(takeNotes(...listeners), traceRequests());
  app.use(guardAccess({ host: '127.0.0.1', keys: new ApiKeys(apiKeys) }));
  app.post('/v1/rerank', nameRoute('/v1/rerank', true), express.json({ limit: '1mb' }), answer);
  app.get('/v1/models/*id', nameRoute('/v1/models/*id'), (_request, response) => void response.json({}));
  app.get('/health', nameRoute('/health'), (_request, response) => void response.json({}));
  app.get('/hang', nameRoute('/hang'), () => undefined);
  app.use(refuseUnknownRoute);
  app.use(answerErrors(log));
  return listen(app);
}

export const rerank = (url: string, documents: readonly string[], headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/rerank`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query: 'what is panda?', documents }),
  });
