import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { RequestHandler } from 'express';
import { sigmoid } from '../rerank/sigmoid.ts';
import type { Content, Reranker, RerankOptions, ScoredDocument } from '../rerank/reranker.ts';
import { usageOf } from './dialects/object-form.ts';
import { finiteScore, relevance } from './dialects/relevance.ts';
import { labelSign, parseSglangScore } from './dialects/sglang-score.ts';
import { parseVllmScore, type ScoreRequest } from './dialects/vllm-score.ts';
import { sendJson } from './json-answer.ts';
import type { ModelDirectory } from './model-directory.ts';
import { localsOf } from './request-locals.ts';
import { callOptions, sumUp, type CallLimits } from './rerank-route.ts';

/** Queries of one request that are scored at once. */
const queriesAtOnce = 16;

/** `POST /score` and `/v1/score`: pairs in the order of the request, as vLLM; under `/sglang` as SGLang. Expects a parsed JSON body. */
export function answerScore(models: ModelDirectory, limits: CallLimits): RequestHandler {
  return async (request, response) => {
    const locals = localsOf(response);
    const call = callOptions(response, limits);
    if (locals.dialect === 'sglang') {
      const asked = parseSglangScore(request.body, limits);
      const { name: model, reranker } = models.take(asked.model);
      const sign = labelSign(asked.labels, reranker.info);
      const scored = await scorePairs(reranker, asked, call);
      const totals = sumUp(scored);
      const scores = scored.map(({ logit, index }) =>
        [sign, -sign].map((side) => finiteScore(sigmoid(side * logit), index)),
      );
      return sendJson(response, { scores, model, usage: usageOf({ totals }), object: 'scoring' });
    }
    const asked = parseVllmScore(request.body, limits);
    const { name: model, reranker } = models.take(asked.model);
    const scored = await scorePairs(reranker, asked, call);
    const totals = sumUp(scored);
    const data = scored.map((one, index) => ({ index, object: 'score', score: relevance(one, asked.rawScores) }));
    const id = `score-${locals.requestId ?? randomUUID()}`;
    const created = Math.floor(Date.now() / 1000);
    return sendJson(response, { id, object: 'list', created, model, data, usage: usageOf({ totals }) });
  };
}

/** Scores of pairs, in their order; those of one query together. @param call what each call of the model gets */
async function scorePairs(
  reranker: Reranker,
  asked: ScoreRequest,
  call: () => RerankOptions,
): Promise<ScoredDocument[]> {
  const places = new Map<Content, number[]>();
  for (const [i, { query }] of asked.pairs.entries()) {
    const known = places.get(query);
    if (known) known.push(i);
    else places.set(query, [i]);
  }
  const scored: ScoredDocument[] = Array.from({ length: asked.pairs.length });
  const gaveUp = new AbortController();
  const { signal } = call();
  const stop = signal ? AbortSignal.any([signal, gaveUp.signal]) : gaveUp.signal;
  // Each of the calls that run at once listens.
  setMaxListeners(queriesAtOnce + 1, stop);
  const options = {
    signal: stop,
    ...(asked.instruct !== undefined && { instruct: asked.instruct }),
    ...asked.cut,
  };
  const waiting = places.entries();
  const work = async () => {
    for (const [query, indexes] of waiting) {
      const documents = indexes.map((i) => asked.pairs[i]!.document);
      for (const one of await reranker.rerank(query, documents, { ...call(), ...options }))
        scored[indexes[one.index]!] = one;
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(queriesAtOnce, places.size) }, work));
    return scored;
  } finally {
    gaveUp.abort();
  }
}
