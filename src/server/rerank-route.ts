import type { RequestHandler, Response } from 'express';
import { WgrankError } from '../errors.ts';
import type { RerankOptions, ScoredDocument } from '../rerank/reranker.ts';
import { parseRerankRequest, type RequestLimits, type RerankRequest } from './rerank-request.ts';
import type { RerankerSlot } from './reranker-slot.ts';

/** One entry of SGLang's bare array; the order of the keys is part of the format. */
export interface RerankAnswerItem {
  readonly score: number;
  /** As sent, string or parts; absent unless `return_documents`. */
  readonly document?: unknown;
  readonly index: number;
  readonly meta_info: { readonly prompt_tokens: number; readonly truncated_tokens: number; readonly logit: number };
}

/** `POST` and `PUT /v1/rerank` in SGLang's dialect. Expects a parsed JSON body. */
export function answerRerank(slot: RerankerSlot, limits: RequestLimits): RequestHandler {
  return async (request, response) => {
    const reranker = slot.take();
    const asked = parseRerankRequest(request.body, reranker.info.kind, limits);
    const options = toRerankOptions(asked, signalOfDisconnect(response));
    const ranked = await reranker.rerank(asked.query, asked.documents, options);
    response.json(ranked.map((scored) => toAnswerItem(scored, asked)));
  };
}

function toRerankOptions(asked: RerankRequest, signal: AbortSignal): RerankOptions {
  const { instruct, topN } = asked;
  // SGLang hands the instruction over only when it is truthy: an empty string means the template's default.
  return { signal, ...(instruct ? { instruct } : {}), ...(topN === undefined ? {} : { topN }) };
}

function toAnswerItem(scored: ScoredDocument, asked: RerankRequest): RerankAnswerItem {
  const { score, index, logit, promptTokens, truncatedTokens } = scored;
  // JSON.stringify would turn NaN and infinities into null without a word.
  if (!Number.isFinite(score))
    throw new WgrankError('numeric-range', 'rerank', `score of document ${index} is ${score}`);
  return {
    score,
    ...(asked.returnDocuments ? { document: asked.sentDocuments[index] } : {}),
    index,
    meta_info: { prompt_tokens: promptTokens, truncated_tokens: truncatedTokens, logit },
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
