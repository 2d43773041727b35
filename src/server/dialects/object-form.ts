import { z } from 'zod';
import type { ModelKind } from '../../rerank/engine.ts';
import {
  invalid,
  refuseEmptyQuery,
  refuseTooManyDocuments,
  refuseUndefinedCharacters,
  type RequestLimits,
} from './content-checks.ts';
import type { Ranked, RankRequest } from './dialect.ts';
import { countFrom, expected, listOf, text, yesOrNo } from './lax-values.ts';
import { looseContent, looseContents, toContent, toList, type ContentRules } from './loose-content.ts';
import { readBody } from './schema-refusal.ts';

const tokens = countFrom(0).nullish();

/** How pairs are read, in rankings and in scores. */
export const readingFields = {
  instruction: text.nullish().meta({ description: 'Task instruction of a decoder’s prompt.' }),
  instruct: text.nullish().meta({ description: 'SGLang’s name of instruction.' }),
  chat_template_kwargs: z.looseObject({ instruction: z.unknown() }).partial().nullish(),
  raw_scores: yesOrNo.meta({ description: 'Logits instead of 0 … 1.' }),
  use_activation: yesOrNo.meta({ description: 'false: logits, as raw_scores.' }),
  max_tokens_per_doc: tokens,
  max_doc_length: tokens,
  max_tokens_per_query: countFrom(0).nullish().meta({ description: 'Cross-encoders only.' }),
  truncate_prompt_tokens: countFrom(-1)
    .nullish()
    .meta({ description: 'Tokens of a pair at the most; -1: as many as the model reads.' }),
  truncation_side: z.literal(['left', 'right'], { error: expected("'left' or 'right'") }).nullish(),
  truncation: yesOrNo.meta({ description: 'false refuses pairs that are too long instead of cutting them.' }),
  truncate: yesOrNo.meta({ description: 'TEI’s name of truncation.' }),
};
type Reading = z.output<z.ZodObject<typeof readingFields>>;

/** What the object forms of Jina, Cohere, vLLM, Together, Voyage, Infinity and LiteLLM have, all in one. */
export const rankBody = z.looseObject(
  {
    model: text.nullish(),
    query: looseContent,
    documents: looseContents,
    top_n: countFrom(0).nullish().meta({ description: 'Keep the best n; 0 or null: all.' }),
    top_k: countFrom(0).nullish().meta({ description: 'Voyage’s name of top_n.' }),
    return_documents: yesOrNo,
    rank_fields: listOf(text).nullish(),
    ...readingFields,
  },
  { error: expected('a valid dictionary or object') },
);

/** @throws HttpRefusal | WgrankError 400 */
export function parseObjectForm(
  body: unknown,
  limits: RequestLimits,
  rules: Pick<ContentRules, 'anyObject'>,
): RankRequest {
  refuseTooManyDocuments(body, 'documents', limits.maxDocuments);
  const read = readBody(rankBody, body);
  const sentDocuments = toList(read.documents);
  const reading: ContentRules = { ...rules, rankFields: read.rank_fields ?? undefined };
  const query = toContent(read.query, ['query'], { anyObject: false });
  refuseEmptyQuery(query);
  if (sentDocuments.length === 0) throw invalid('Documents cannot be empty');
  const documents = sentDocuments.map((sent, i) => toContent(sent, ['documents', i], reading));
  refuseUndefinedCharacters(query, 'query');
  documents.forEach((document, i) => refuseUndefinedCharacters(document, `documents[${i}]`));
  return {
    model: read.model ?? undefined,
    query,
    documents,
    sentDocuments,
    returnDocuments: read.return_documents ?? undefined,
    topN: read.top_n || read.top_k || undefined,
    ...readingOf(read, limits.kindOf?.(read.model)),
  };
}

/**
 * @param kind of the model that is asked; undefined while nobody knows it
 * @throws WgrankError `input-invalid`
 */
export function readingOf(
  read: Reading,
  kind: ModelKind | undefined,
): Pick<RankRequest, 'instruct' | 'rawScores' | 'cut'> {
  const instruct = instructionOf(read);
  refuseUndefinedCharacters(instruct ?? '', 'instruction');
  return {
    rawScores: (read.raw_scores ?? false) || read.use_activation === false,
    instruct: instruct === '' ? undefined : instruct,
    cut: cutOf(read, kind),
  };
}

function instructionOf({ instruction, instruct, chat_template_kwargs: kwargs }: Reading): string | undefined {
  const folded = kwargs?.instruction;
  return instruction ?? instruct ?? (typeof folded === 'string' ? folded : undefined);
}

function cutOf(read: Reading, kind: ModelKind | undefined): RankRequest['cut'] {
  if (read.truncation_side === 'left')
    throw invalid("truncation_side 'left' is not supported: documents are cut at their end (leave it out, or 'right')");
  // The reranker refuses it too, by a name that is not the client's.
  if (read.max_tokens_per_query && kind !== undefined && kind !== 'cross-encoder')
    throw invalid('max_tokens_per_query is for cross-encoders: a decoder reads its prompt as one text');
  const limit = read.truncate_prompt_tokens ?? 0;
  const truncate = limit === 0 ? (read.truncate ?? read.truncation) : true;
  const maxDocumentTokens = read.max_tokens_per_doc || read.max_doc_length;
  return {
    ...(truncate != null && { truncate }),
    ...(maxDocumentTokens && { maxDocumentTokens }),
    ...(read.max_tokens_per_query && { maxQueryTokens: read.max_tokens_per_query }),
    ...(limit > 0 && { maxPairTokens: limit }),
  };
}

/** A document as Jina gives it back: texts as objects, objects as they were sent. */
export function echoAsObject(sent: unknown): unknown {
  if (typeof sent === 'string') return { text: sent };
  return Array.isArray(sent) ? { content: sent } : sent;
}

export const usageOf = ({ totals }: Pick<Ranked, 'totals'>) => ({
  prompt_tokens: totals.promptTokens,
  completion_tokens: 0,
  total_tokens: totals.promptTokens,
});

/** Cohere's bookkeeping: one search unit per 100 documents. */
export function metaOf({ totals }: Ranked, version: string) {
  const cut = totals.truncatedDocuments;
  const warning = `${cut} of ${totals.documents} documents were cut to the length that the model reads`;
  return {
    api_version: { version },
    billed_units: { search_units: Math.ceil(totals.documents / 100) },
    tokens: { input_tokens: totals.promptTokens, output_tokens: 0 },
    ...(cut > 0 && { warnings: [warning] }),
  };
}
