import { z } from 'zod';
import type { Content } from '../../rerank/reranker.ts';
import { invalid, refuseTooManyDocuments, refuseUndefinedCharacters, type RequestLimits } from './content-checks.ts';
import type { RankRequest } from './dialect.ts';
import { expected, text } from './lax-values.ts';
import { looseContents, toContent, toList } from './loose-content.ts';
import { readingFields, readingOf } from './object-form.ts';
import { readBody } from './schema-refusal.ts';

/** The names that vLLM has had for the two sides of its pairs, newest first. */
const sideNames = [
  ['queries', 'documents'],
  ['queries', 'items'],
  ['data_1', 'data_2'],
  ['text_1', 'text_2'],
] as const;

export const vllmScoreBody = z
  .looseObject(
    {
      model: text.nullish(),
      queries: looseContents.nullish(),
      documents: looseContents.nullish(),
      items: looseContents.nullish(),
      data_1: looseContents.nullish(),
      data_2: looseContents.nullish(),
      text_1: looseContents.nullish(),
      text_2: looseContents.nullish(),
      ...readingFields,
    },
    { error: expected('a valid dictionary or object') },
  )
  .meta({ description: 'One pair of sides: queries and documents or items, data_1 and data_2, text_1 and text_2.' });

export const vllmScoreAnswer = z.object({
  id: z.string(),
  object: z.literal('list'),
  created: z.int(),
  model: z.string(),
  data: z.array(z.object({ index: z.int(), object: z.literal('score'), score: z.number() })),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.literal(0), total_tokens: z.int() }),
});

/** Pairs in the order of the request. */
export interface ScoreRequest extends Pick<RankRequest, 'model' | 'rawScores' | 'instruct' | 'cut'> {
  readonly pairs: readonly { readonly query: Content; readonly document: Content }[];
}

/** `POST /score` of vLLM: 1 × 1, 1 × N or N × N. @throws HttpRefusal | WgrankError 400 */
export function parseVllmScore(body: unknown, { maxDocuments, kindOf }: RequestLimits): ScoreRequest {
  for (const names of sideNames) for (const name of names) refuseTooManyDocuments(body, name, maxDocuments);
  const read = readBody(vllmScoreBody, body);
  const names = sideNames.find(([first, second]) => read[first] != null && read[second] != null);
  if (names === undefined) throw invalid(noSides);
  const [first, second] = names.map((name) => readSide(read[name]!, name)) as [Content[], Content[]];
  if (first.length === 0) throw invalid(`At least one of ${names[0]} must be given`);
  if (second.length === 0) throw invalid(`At least one of ${names[1]} must be given`);
  if (first.length > 1 && first.length !== second.length)
    throw invalid(`Input lengths must be either 1:1, 1:N or N:N (not ${first.length}:${second.length})`);
  return {
    model: read.model ?? undefined,
    pairs: second.map((document, i) => ({ query: first.length === 1 ? first[0]! : first[i]!, document })),
    ...readingOf(read, kindOf?.(read.model)),
  };
}

const noSides =
  'No pairs: give queries and documents (or items), data_1 and data_2, or text_1 and text_2. ' +
  "SGLang's query, items and label_token_ids are read at /sglang/v1/score.";

function readSide(sent: z.output<typeof looseContents>, name: string): Content[] {
  return toList(sent).map((one, i) => {
    const content = toContent(one, [name, i], { anyObject: false });
    refuseUndefinedCharacters(content, `${name}[${i}]`);
    return content;
  });
}
