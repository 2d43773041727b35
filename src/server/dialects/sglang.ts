import { z } from 'zod';
import type { Content } from '../../rerank/reranker.ts';
import {
  invalid,
  isBlank,
  refuseEmptyQuery,
  refuseTooManyDocuments,
  refuseUndefinedCharacters,
  type RequestLimits,
} from './content-checks.ts';
import { content } from './content-schema.ts';
import type { Dialect, Ranked, RankRequest } from './dialect.ts';
import { countFrom, expected, text, yesOrNo } from './lax-values.ts';
import { finiteScore } from './relevance.ts';
import { readBody } from './schema-refusal.ts';

export const sglangRankBody = z.object(
  {
    query: content,
    documents: z.array(content, { error: expected('a valid list') }),
    instruct: text.nullish(),
    top_n: countFrom(1, 'Value error, parameter top_n should be larger than 0.').nullish(),
    return_documents: yesOrNo,
    // SGLang does not read it.
    model: z.unknown().optional().meta({ description: 'Name of one of several models.' }),
  },
  { error: expected('a valid dictionary or object') },
);

export const sglangRankAnswer = z.array(
  z.object({
    score: z.number().meta({ description: 'The raw logit of a cross-encoder, p(yes) of a decoder.' }),
    document: z.unknown().optional().meta({ description: 'As sent; absent unless return_documents.' }),
    index: z.int(),
    meta_info: z.object({ prompt_tokens: z.int(), truncated_tokens: z.int(), logit: z.number() }),
  }),
);

/** One entry of SGLang's bare array; the order of the keys is part of the format. */
export interface RerankAnswerItem {
  readonly score: number;
  /** As sent, string or parts; absent unless `return_documents`. */
  readonly document?: unknown;
  readonly index: number;
  readonly meta_info: { readonly prompt_tokens: number; readonly truncated_tokens: number; readonly logit: number };
}

/** `POST` and `PUT /v1/rerank` as SGLang has them: a bare array, raw logits of cross-encoders, flat errors. */
export const sglang: Dialect = { errors: 'sglang', tellsUsage: false, parse, format };

/** Schema first, then SGLang's four checks in its order, then what wgrank adds (characters that no tokeniser defines). */
function parse(body: unknown, limits: RequestLimits): RankRequest {
  refuseTooManyDocuments(body, 'documents', limits.maxDocuments);
  const { model, query, documents, instruct, top_n, return_documents } = readBody(sglangRankBody, body);
  refuseEmptyQuery(query);
  refuseEmptyDocuments(documents);
  refuseUndefinedCharacters(query, 'query');
  documents.forEach((document, i) => refuseUndefinedCharacters(document, `documents[${i}]`));
  refuseUndefinedCharacters(instruct ?? '', 'instruct');
  return {
    model,
    query,
    documents,
    sentDocuments: (body as { documents: unknown[] }).documents,
    // The instruction counts only when it is truthy: an empty string means the template's default.
    instruct: instruct ? instruct : undefined,
    topN: top_n ?? undefined,
    returnDocuments: return_documents ?? undefined,
    rawScores: false,
    cut: {},
  };
}

function refuseEmptyDocuments(documents: readonly Content[]): void {
  if (documents.length === 0) throw invalid('Documents cannot be empty');
  for (const document of documents) {
    if (document.length === 0) throw invalid('Each document must be a non-empty string');
    if (isBlank(document)) throw invalid('Each document cannot be empty or whitespace only');
  }
}

function format({ asked, scored, kind }: Ranked): RerankAnswerItem[] {
  const returnDocuments = asked.returnDocuments ?? kind !== 'vl-decoder';
  return scored.map(({ score, index, logit, promptTokens, truncatedTokens }) => ({
    score: finiteScore(score, index),
    ...(returnDocuments ? { document: asked.sentDocuments[index] } : {}),
    index,
    meta_info: { prompt_tokens: promptTokens, truncated_tokens: truncatedTokens, logit },
  }));
}
