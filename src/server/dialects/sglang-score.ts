import { z } from 'zod';
import { WgrankError } from '../../errors.ts';
import type { EngineInfo } from '../../rerank/engine.ts';
import {
  invalid,
  refuseEmptyQuery,
  refuseTooManyDocuments,
  refuseUndefinedCharacters,
  type RequestLimits,
} from './content-checks.ts';
import { expected, listOf, text, wholeNumber, yesOrNo } from './lax-values.ts';
import { readBody } from './schema-refusal.ts';
import type { ScoreRequest } from './vllm-score.ts';

export const sglangScoreBody = z.looseObject(
  {
    query: text,
    items: z.union([text, z.array(text)], { error: expected('a valid string or list') }),
    label_token_ids: listOf(wholeNumber).nullish(),
    apply_softmax: yesOrNo,
    item_first: yesOrNo,
    model: text.nullish(),
  },
  { error: expected('a valid dictionary or object') },
);

export const sglangScoreAnswer = z.object({
  scores: z.array(z.array(z.number())),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.literal(0), total_tokens: z.int() }),
  object: z.literal('scoring'),
});

export interface SglangScoreRequest extends ScoreRequest {
  readonly labels: readonly number[];
}

/** `POST /sglang/v1/score`. @throws HttpRefusal | WgrankError 400 */
export function parseSglangScore(body: unknown, limits: RequestLimits): SglangScoreRequest {
  refuseTooManyDocuments(body, 'items', limits.maxDocuments);
  const read = readBody(sglangScoreBody, body);
  const items = typeof read.items === 'string' ? [read.items] : read.items;
  refuseEmptyQuery(read.query);
  if (items.length === 0) throw invalid('Items cannot be empty');
  refuseUndefinedCharacters(read.query, 'query');
  items.forEach((item, i) => refuseUndefinedCharacters(item, `items[${i}]`));
  if (read.item_first)
    throw invalid("item_first is not supported: the model's own prompt has the query first (leave it out)");
  // The two answers' share is all that the engine computes: see ARCHITECTURE.md, one vector instead of a vocabulary.
  if (!read.apply_softmax)
    throw invalid(
      'apply_softmax must be true: scores are the shares of the two label tokens, not probabilities over the vocabulary',
    );
  return {
    model: read.model ?? undefined,
    pairs: items.map((document) => ({ query: read.query, document })),
    rawScores: true,
    cut: {},
    labels: read.label_token_ids ?? [],
  };
}

/**
 * Where a model's two answers stand among the labels.
 * @returns 1 or −1: the sign of the logit for the first label; the second has the other
 * @throws WgrankError `input-invalid` for any other labels, and for models that have none
 */
export function labelSign(labels: readonly number[], { scoringTokens, kind }: EngineInfo): 1 | -1 {
  const yes = scoringTokens?.yes;
  const no = scoringTokens?.no;
  if (yes === undefined || no === undefined)
    throw new WgrankError('input-invalid', '', `This model (${kind}) has no pair of label tokens: use /v1/rerank.`);
  const [first, second] = labels;
  if (labels.length === 2 && first === yes && second === no) return 1;
  if (labels.length === 2 && first === no && second === yes) return -1;
  throw invalid(
    `label_token_ids must be [${yes}, ${no}] (yes, no) or [${no}, ${yes}]: the model computes no other tokens`,
  );
}
