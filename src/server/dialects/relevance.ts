import { WgrankError } from '../../errors.ts';
import { sigmoid } from '../../rerank/sigmoid.ts';
import type { ScoredDocument } from '../../rerank/reranker.ts';

/**
 * The score of every wire format but SGLang's: sigmoid(logit), 0 … 1, for cross-encoders and decoders alike; or the logit.
 * @throws WgrankError `numeric-range`: JSON would turn NaN and infinities into null without a word
 */
export function relevance(scored: ScoredDocument, raw: boolean): number {
  return finiteScore(raw ? scored.logit : sigmoid(scored.logit), scored.index);
}

/** @throws WgrankError `numeric-range` */
export function finiteScore(score: number, index: number): number {
  if (Number.isFinite(score)) return score;
  throw new WgrankError('numeric-range', 'rerank', `score of document ${index} is ${score}`);
}
