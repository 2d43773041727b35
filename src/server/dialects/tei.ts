import { z } from 'zod';
import { HttpRefusal } from '../error-answer.ts';
import { countOf, refuseUndefinedCharacters, type RequestLimits } from './content-checks.ts';
import type { Dialect, Ranked, RankRequest } from './dialect.ts';
import { expected, text, yesOrNo } from './lax-values.ts';
import { relevance } from './relevance.ts';
import { readBody } from './schema-refusal.ts';

const directions = ['Right', 'right', 'Left', 'left'] as const;

export const teiRankBody = z.looseObject(
  {
    // TEI does not read it.
    model: z.unknown().optional().meta({ description: 'Name of one of several models.' }),
    query: text,
    texts: z.array(text, { error: expected('a valid list') }),
    truncate: yesOrNo.meta({ description: 'Default: as the server was started (see auto_truncate in /info).' }),
    truncation_direction: z.enum(directions, { error: expected("'Right' or 'Left'") }).nullish(),
    raw_scores: yesOrNo,
    return_text: yesOrNo,
  },
  { error: expected('a valid dictionary or object') },
);

export const teiRankAnswer = z.array(z.object({ index: z.int(), score: z.number(), text: z.string().optional() }));

/** Text Embeddings Inference: `texts` in, a bare array out, its own statuses. */
export const tei: Dialect = {
  errors: 'tei',
  tellsUsage: true,
  parse,
  format,
  // It sorts upwards and turns the list round: equal scores come in reverse order.
  order: (scored) => scored.toSorted((a, b) => b.logit - a.logit || b.index - a.index),
  headers: ({ asked, totals }, { tookMs, timings, info }) => ({
    'x-compute-type': info.software ? 'cpu' : 'gpu+optimized',
    'x-compute-time': tookMs.toFixed(0),
    'x-compute-characters': String(charactersOf(asked)),
    'x-compute-tokens': String(totals.promptTokens),
    'x-total-time': tookMs.toFixed(0),
    ...(timings && {
      'x-tokenization-time': timings.tokenizeMs.toFixed(0),
      'x-queue-time': timings.queueMs.toFixed(0),
      'x-inference-time': timings.inferenceMs.toFixed(0),
    }),
  }),
};

/** The query counts once per text, as it is read. */
function charactersOf({ query, documents }: RankRequest): number {
  return documents.reduce((sum, document) => sum + query.length + document.length, 0);
}

const validation = (message: string) => new HttpRefusal(422, message, { type: 'Validation' });

function parse(body: unknown, { maxDocuments }: RequestLimits): RankRequest {
  const count = countOf(body, 'texts');
  if (count > maxDocuments) throw validation(`batch size ${count} > maximum allowed batch size ${maxDocuments}`);
  const { model, query, texts, ...read } = readBody(teiRankBody, body, { status: 422 });
  if (texts.length === 0) throw new HttpRefusal(400, '`texts` cannot be empty', { type: 'Empty' });
  if (read.truncation_direction?.toLowerCase() === 'left')
    throw validation('`truncation_direction` Left is not supported: texts are cut at their end');
  refuseUndefinedCharacters(query, 'query');
  texts.forEach((one, i) => refuseUndefinedCharacters(one, `texts[${i}]`));
  return {
    model,
    query,
    documents: texts,
    sentDocuments: texts,
    returnDocuments: read.return_text ?? false,
    topN: undefined,
    rawScores: read.raw_scores ?? false,
    cut: read.truncate == null ? {} : { truncate: read.truncate },
  };
}

function format({ asked, scored }: Ranked) {
  return scored.map((one) => ({
    index: one.index,
    score: relevance(one, asked.rawScores),
    ...(asked.returnDocuments && { text: asked.sentDocuments[one.index] }),
  }));
}
