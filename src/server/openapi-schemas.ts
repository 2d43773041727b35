import { z } from 'zod';
import { part } from './dialects/content-schema.ts';
import { looseContent, looseContents } from './dialects/loose-content.ts';
import { nvidiaRankAnswer, nvidiaRankBody } from './dialects/nvidia.ts';
import { rankBody } from './dialects/object-form.ts';
import { cohereAnswer, jinaAnswer, supersetAnswer, vllmAnswer, voyageAnswer } from './dialects/rank-answers.ts';
import { sglangScoreAnswer, sglangScoreBody } from './dialects/sglang-score.ts';
import { sglangRankAnswer, sglangRankBody } from './dialects/sglang.ts';
import { teiRankAnswer, teiRankBody } from './dialects/tei.ts';
import { vllmScoreAnswer, vllmScoreBody } from './dialects/vllm-score.ts';
import {
  modelCardAnswer,
  modelListAnswer,
  sglangModelInfo,
  sglangServerInfo,
  statusAnswer,
  teiInfo,
  versionAnswer,
} from './info-routes.ts';

const openAiError = z.object({ message: z.string(), type: z.string(), param: z.null(), code: z.int() });

const flatError = z.object({
  object: z.literal('error'),
  message: z.string(),
  type: z.string(),
  param: z.null(),
  code: z.int().meta({ description: 'The HTTP status.' }),
});

/** Everything that the OpenAPI document calls by a name. */
export const namedSchemas = {
  ContentPart: part,
  Content: looseContent,
  Contents: looseContents,
  SglangRerank: sglangRankBody,
  SglangRanked: sglangRankAnswer,
  Rerank: rankBody,
  Ranked: supersetAnswer,
  JinaRanked: jinaAnswer,
  CohereRanked: cohereAnswer,
  VllmRanked: vllmAnswer,
  VoyageRanked: voyageAnswer,
  TeiRerank: teiRankBody,
  TeiRanked: teiRankAnswer,
  NvidiaRanking: nvidiaRankBody,
  NvidiaRankings: nvidiaRankAnswer,
  Score: vllmScoreBody,
  Scored: vllmScoreAnswer,
  SglangScore: sglangScoreBody,
  SglangScored: sglangScoreAnswer,
  Model: modelCardAnswer,
  ModelList: modelListAnswer,
  SglangModelInfo: sglangModelInfo,
  SglangServerInfo: sglangServerInfo,
  Info: teiInfo,
  Status: statusAnswer,
  Version: versionAnswer,
  SglangError: flatError,
  OpenAiError: z.object({ ...flatError.shape, error: openAiError }),
  Error: z.object({ error: openAiError, message: z.string(), detail: z.string(), id: z.string() }),
  VllmError: z.object({ error: openAiError }),
  CohereError: z.object({ id: z.string(), message: z.string() }),
  VoyageError: z.object({ detail: z.string() }),
  TeiError: z.object({
    error: z.string(),
    error_type: z.enum(['Unhealthy', 'Backend', 'Overloaded', 'Validation', 'Tokenizer', 'Empty']),
  }),
} satisfies Record<string, z.ZodType>;

export type SchemaName = keyof typeof namedSchemas;

type JsonSchema = Readonly<Record<string, unknown>>;

/** JSON Schemas by name, which refer to each other as OpenAPI wants it. */
export function toJsonSchemas(): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(namedSchemas)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    target: 'draft-2020-12',
    // What lax values are read as: `"2"` is tolerated for a whole number, not recommended.
    io: 'output',
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => {
      // Unknown fields are accepted everywhere.
      delete jsonSchema.additionalProperties;
    },
  });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutAddress(schema)]));
}

/** Inside one document schemas have no addresses of their own. */
function withoutAddress(schema: object): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}
