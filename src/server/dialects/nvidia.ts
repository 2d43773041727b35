import { z } from 'zod';
import {
  invalid,
  refuseEmptyQuery,
  refuseTooManyDocuments,
  refuseUndefinedCharacters,
  type RequestLimits,
} from './content-checks.ts';
import type { Dialect, Ranked, RankRequest } from './dialect.ts';
import { countFrom, expected, text } from './lax-values.ts';
import { usageOf } from './object-form.ts';
import { relevance } from './relevance.ts';
import { readBody } from './schema-refusal.ts';

const passage = z.union([text, z.looseObject({ text })], { error: expected('an object with a text') });

export const nvidiaRankBody = z.looseObject(
  {
    model: text.nullish(),
    query: passage,
    passages: z.array(passage, { error: expected('a valid list') }),
    truncate: z.enum(['NONE', 'END', 'START'], { error: expected("'END' or 'NONE'") }).nullish(),
    top_n: countFrom(0).nullish(),
  },
  { error: expected('a valid dictionary or object') },
);

export const nvidiaRankAnswer = z.object({
  rankings: z.array(z.object({ index: z.int(), logit: z.number() })),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.literal(0), total_tokens: z.int() }),
});

/** NVIDIA's retrieval service: passages in, logits out. */
export const nvidia: Dialect = { errors: 'superset', tellsUsage: true, parse, format };

function parse(body: unknown, limits: RequestLimits): RankRequest {
  refuseTooManyDocuments(body, 'passages', limits.maxDocuments);
  const read = readBody(nvidiaRankBody, body);
  const query = textOf(read.query);
  refuseEmptyQuery(query);
  if (read.passages.length === 0) throw invalid('Passages cannot be empty');
  if (read.truncate === 'START')
    throw invalid("truncate 'START' is not supported: passages are cut at their end ('END')");
  const documents = read.passages.map(textOf);
  refuseUndefinedCharacters(query, 'query');
  documents.forEach((document, i) => refuseUndefinedCharacters(document, `passages[${i}]`));
  return {
    model: read.model ?? undefined,
    query,
    documents,
    sentDocuments: read.passages,
    returnDocuments: false,
    topN: read.top_n || undefined,
    rawScores: true,
    cut: read.truncate == null ? {} : { truncate: read.truncate === 'END' },
  };
}

const textOf = (sent: z.output<typeof passage>): string => (typeof sent === 'string' ? sent : sent.text);

function format(ranked: Ranked) {
  const rankings = ranked.scored.map((scored) => ({ index: scored.index, logit: relevance(scored, true) }));
  return { rankings, usage: usageOf(ranked) };
}
