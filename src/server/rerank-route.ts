import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';
import type { RerankOptions, ScoredDocument } from '../rerank/reranker.ts';
import { callerOf } from './access.ts';
import { chooseDialect, type ApiDialect, type RankRoute } from './dialects/choose-dialect.ts';
import type { RequestLimits } from './dialects/content-checks.ts';
import type { Dialect, RankRequest, Totals } from './dialects/dialect.ts';
import { sendJson } from './json-answer.ts';
import type { ModelDirectory } from './model-directory.ts';
import { localsOf } from './request-locals.ts';

export type { RerankAnswerItem } from './dialects/sglang.ts';

export interface CallLimits extends RequestLimits {
  /** Milliseconds for an answer; 0: any time. */
  readonly requestTimeoutMs: number;
}

export interface RerankRouteOptions extends CallLimits {
  readonly apiDialect: ApiDialect;
}

/** All routes that rank documents. Expects a parsed JSON body. */
export function answerRerank(models: ModelDirectory, route: RankRoute, options: RerankRouteOptions): RequestHandler {
  return async (request, response) => {
    const startedAt = performance.now();
    const locals = localsOf(response);
    const dialect = chooseDialect(route, locals.dialect, options.apiDialect, request.body);
    // Without a prefix errors have the keys of all clients, save that TEI's `error` is a text where theirs is an object.
    if (dialect.errors === 'tei') locals.errors = 'tei';
    const asked = dialect.parse(request.body, options);
    const { name: model, reranker } = models.take(asked.model);
    const { kind } = reranker.info;
    const all = await reranker.rerank(asked.query, asked.documents, {
      ...toRerankOptions(asked, dialect),
      ...callOptions(response, options)(),
    });
    const totals = sumUp(all);
    const scored = (dialect.order?.(all) ?? all).slice(0, asked.topN ?? all.length);
    const ranked = { asked, scored, totals, model, kind, id: locals.requestId ?? randomUUID() };
    const answer = dialect.format(ranked);
    const tookMs = performance.now() - startedAt;
    response.set(dialect.headers?.(ranked, { tookMs, timings: locals.timings, info: reranker.info }) ?? {});
    await sendJson(response, answer);
  };
}

function toRerankOptions({ instruct, topN, cut }: RankRequest, dialect: Dialect): RerankOptions {
  return {
    ...(instruct === undefined ? {} : { instruct }),
    ...(topN === undefined || dialect.tellsUsage ? {} : { topN }),
    ...cut,
  };
}

/** What every call of the model gets for a request: it ends with its client and its deadline, and waits in its caller's queue. */
export function callOptions(response: Response, { requestTimeoutMs }: CallLimits): () => RerankOptions {
  const { observe, arrivedAt = performance.now() } = localsOf(response);
  const endsAt = arrivedAt + requestTimeoutMs;
  const group = callerOf(response);
  const options = {
    signal: signalOfDisconnect(response),
    request: response,
    ...(group !== undefined && { group }),
    ...(observe && { observe }),
  };
  if (requestTimeoutMs === 0) return () => options;
  return () => ({ ...options, deadlineMs: Math.max(0, endsAt - performance.now()) });
}

export function sumUp(scored: readonly ScoredDocument[]): Totals {
  return {
    documents: scored.length,
    promptTokens: scored.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
    truncatedDocuments: scored.filter(({ truncatedTokens }) => truncatedTokens > 0).length,
  };
}

/** Aborts when the connection closes before the answer is out. */
function signalOfDisconnect(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
