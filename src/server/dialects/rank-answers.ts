import { z } from 'zod';
import type { ScoredDocument } from '../../rerank/reranker.ts';
import type { Dialect, Ranked } from './dialect.ts';
import { echoAsObject, metaOf, parseObjectForm, usageOf } from './object-form.ts';
import { relevance } from './relevance.ts';

const item = { index: z.int(), relevance_score: z.number() };
const usage = z.object({ prompt_tokens: z.int(), completion_tokens: z.literal(0), total_tokens: z.int() });
const meta = z.object({
  api_version: z.object({ version: z.string() }),
  billed_units: z.object({ search_units: z.int() }),
  tokens: z.object({ input_tokens: z.int(), output_tokens: z.literal(0) }),
  warnings: z.array(z.string()).optional(),
});
const results = z.array(z.object({ ...item, document: z.unknown().optional() }));

export const jinaAnswer = z.object({
  id: z.string(),
  object: z.literal('list'),
  model: z.string(),
  results,
  usage,
});
const metaInfo = z.object({ prompt_tokens: z.int(), truncated_tokens: z.int(), logit: z.number() });
export const supersetAnswer = z.object({
  ...jinaAnswer.shape,
  results: z.array(z.object({ ...item, document: z.unknown().optional(), meta_info: metaInfo })),
  data: results,
  meta,
});
export const cohereAnswer = z.object({ id: z.string(), results, meta });
export const vllmAnswer = z.object({
  id: z.string(),
  model: z.string(),
  usage,
  results: z.array(
    z.object({
      index: z.int(),
      document: z.object({ text: z.string().nullable(), multi_modal: z.unknown() }),
      relevance_score: z.number(),
    }),
  ),
});
export const voyageAnswer = z.object({
  object: z.literal('list'),
  data: results,
  model: z.string(),
  usage: z.object({ total_tokens: z.int() }),
});

/** Jina's object with what Cohere, Together and Voyage read beside it: one answer for all clients of the object form. */
export function superset(returnDocuments: boolean): Dialect {
  return {
    errors: 'superset',
    tellsUsage: true,
    parse: (body, limits) => parseObjectForm(body, limits, { anyObject: true }),
    format: (ranked) => ({
      ...jinaBody(ranked, returnDocuments),
      results: items(ranked, returnDocuments, echoAsObject).map((one, i) => ({
        ...one,
        meta_info: metaInfoOf(ranked.scored[i]!),
      })),
      // Texts that nobody asked for come once, those that were asked for where each client looks for them.
      data: items(ranked, false, asSent),
      meta: metaOf(ranked, '2'),
    }),
  };
}

/** As SGLang's answers have it. */
function metaInfoOf({ promptTokens, truncatedTokens, logit }: ScoredDocument): z.infer<typeof metaInfo> {
  return { prompt_tokens: promptTokens, truncated_tokens: truncatedTokens, logit };
}

/** Jina's own; Together's clients find here what they need, too. */
export const jina: Dialect = { ...superset(true), format: (ranked) => jinaBody(ranked, true) };

function jinaBody(ranked: Ranked, returnDocuments: boolean) {
  const { id, model } = ranked;
  const results = items(ranked, returnDocuments, echoAsObject);
  return { id, object: 'list', model, results, usage: usageOf(ranked) };
}

/** @param version the first gives documents back, as does the second, which has no such field, when it is asked to */
export function cohere(version: '1' | '2'): Dialect {
  return {
    errors: 'cohere',
    tellsUsage: true,
    parse: (body, limits) => parseObjectForm(body, limits, { anyObject: true }),
    format: (ranked) => ({
      id: ranked.id,
      results: items(ranked, false, echoAsObject),
      meta: metaOf(ranked, version),
    }),
  };
}

/** Documents come back always. */
export const vllm: Dialect = {
  errors: 'vllm',
  tellsUsage: true,
  parse: (body, limits) => parseObjectForm(body, limits, { anyObject: false }),
  format: (ranked) => ({
    id: `score-${ranked.id}`,
    model: ranked.model,
    usage: usageOf(ranked),
    results: ranked.scored.map((scored) => ({
      index: scored.index,
      document: echoForVllm(ranked.asked.sentDocuments[scored.index]),
      relevance_score: relevance(scored, ranked.asked.rawScores),
    })),
  }),
};

function echoForVllm(sent: unknown): { text: string | null; multi_modal: unknown } {
  if (typeof sent === 'string') return { text: sent, multi_modal: null };
  const { content } = (Array.isArray(sent) ? { content: sent } : sent) as { content?: unknown };
  return { text: null, multi_modal: content ?? sent };
}

export const voyage: Dialect = {
  errors: 'voyage',
  tellsUsage: true,
  parse: (body, limits) => parseObjectForm(body, limits, { anyObject: false }),
  format: (ranked) => ({
    object: 'list',
    data: items(ranked, false, asSent),
    model: ranked.model,
    usage: { total_tokens: ranked.totals.promptTokens },
  }),
};

const asSent = (sent: unknown) => sent;

/** @param returnDocuments where the request does not say it */
function items({ asked, scored }: Ranked, returnDocuments: boolean, echo: (sent: unknown) => unknown) {
  const echoes = asked.returnDocuments ?? returnDocuments;
  return scored.map((one) => ({
    index: one.index,
    relevance_score: relevance(one, asked.rawScores),
    ...(echoes && { document: echo(asked.sentDocuments[one.index]) }),
  }));
}
