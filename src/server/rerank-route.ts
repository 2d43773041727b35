import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';
import type { RerankOptions, ScoredDocument } from '../rerank/reranker.ts';
import { chooseDialect, type ApiDialect, type RankRoute } from './dialects/choose-dialect.ts';
import type { RequestLimits } from './dialects/content-checks.ts';
import type { Dialect, RankRequest, Totals } from './dialects/dialect.ts';
import type { ModelDirectory } from './model-directory.ts';
import { localsOf } from './request-locals.ts';

export type { RerankAnswerItem } from './dialects/sglang.ts';

export interface RerankRouteOptions extends RequestLimits {
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
    const all = await reranker.rerank(asked.query, asked.documents, toRerankOptions(asked, dialect, response));
    const totals = sumUp(all);
    const scored = (dialect.order?.(all) ?? all).slice(0, asked.topN ?? all.length);
    const ranked = { asked, scored, totals, model, kind, id: locals.requestId ?? randomUUID() };
    const answer = dialect.format(ranked);
    locals.ranked = { ...totals, model };
    response.set(dialect.headers?.(ranked, { tookMs: performance.now() - startedAt, info: reranker.info }) ?? {});
    response.json(answer);
  };
}

function toRerankOptions(asked: RankRequest, dialect: Dialect, response: Response): RerankOptions {
  const { instruct, topN, cut } = asked;
  const { observe } = localsOf(response);
  return {
    signal: signalOfDisconnect(response),
    ...(instruct === undefined ? {} : { instruct }),
    ...(topN === undefined || dialect.tellsUsage ? {} : { topN }),
    ...(observe && { observe }),
    ...cut,
  };
}

export function sumUp(scored: readonly ScoredDocument[]): Totals {
  return {
    documents: scored.length,
    promptTokens: scored.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
    truncatedDocuments: scored.filter(({ truncatedTokens }) => truncatedTokens > 0).length,
  };
}

/** Aborts when the connection closes before the answer is out. */
export function signalOfDisconnect(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
