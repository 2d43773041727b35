import { z } from 'zod';
import type { Content, ContentPart } from '../../rerank/reranker.ts';
import { invalid } from './content-checks.ts';
import { part, parts } from './content-schema.ts';
import { expected, text } from './lax-values.ts';
import { readBody } from './schema-refusal.ts';

const looseObject = z.looseObject({}).meta({
  description:
    '`{text}`, `{image}` or both, `{content: parts}`, one content part, or any object, whose JSON is the text ' +
    '(of the fields in `rank_fields`, if given).',
});

/** Whatever clients send for a query or document: what it means is decided by `toContent`. */
export const looseContent = z.union(
  [text, z.array(z.unknown()).meta({ items: { $ref: '#/components/schemas/ContentPart' } }), looseObject],
  { error: expected('a valid string, an object or a list of content parts') },
);
export type LooseContent = z.output<typeof looseContent>;

/** One or many; a list holds documents, never the parts of one. */
export const looseContents = z.union([z.array(looseContent), text, looseObject], {
  error: expected('a valid string, an object or a list of them'),
});

export function toList(sent: z.output<typeof looseContents>): readonly LooseContent[] {
  return Array.isArray(sent) ? (sent as readonly LooseContent[]) : [sent];
}

export interface ContentRules {
  /** Fields of objects that are ranked, in this order; none: as if it were not there. */
  readonly rankFields?: readonly string[] | undefined;
  /** Objects of no known form are their JSON; without it they are refused. */
  readonly anyObject: boolean;
}

/**
 * One content for the many forms in which it is sent: Jina's `{text}` and `{image}`, vLLM's `{content: [parts]}`, SGLang's lists of
 * parts, Dify's bare part and `{type: 'multimodal', text, images}`, Cohere's and Together's objects of any fields.
 * @param path where in the body it stands, for refusals
 * @throws HttpRefusal | WgrankError 400
 */
export function toContent(sent: LooseContent, path: readonly PropertyKey[], rules: ContentRules): Content {
  if (typeof sent === 'string') return sent;
  if (Array.isArray(sent)) return readBody(parts, sent, { path });
  return rules.rankFields?.length ? ofFields(sent, path, rules.rankFields) : ofObject(sent, path, rules);
}

type SentObject = Readonly<Record<string, unknown>>;

function ofObject(sent: SentObject, path: readonly PropertyKey[], { anyObject }: ContentRules): Content {
  const { type, content, text, image, images } = sent;
  if (typeof type === 'string' && Object.hasOwn(sent, type)) return [readBody(part, sent, { path })];
  if (Array.isArray(content)) return readBody(parts, content, { path: [...path, 'content'] });
  const pictures = [image, ...(type === 'multimodal' && Array.isArray(images) ? images : [])]
    .map(addressOf)
    .filter((url) => url !== undefined);
  if (pictures.length > 0) {
    const seen = pictures.map((url): ContentPart => ({ type: 'image_url', image_url: { url } }));
    return typeof text === 'string' && text !== '' ? [{ type: 'text', text }, ...seen] : seen;
  }
  if (typeof text === 'string') return text;
  if (anyObject) return JSON.stringify(sent);
  return readBody(knownForm, sent, { path });
}

const knownForm = z.never({ error: 'Input should be a valid string or an object with text, image or content' });

/** A picture's url, or its bytes in base64. */
function addressOf(picture: unknown): string | undefined {
  if (typeof picture === 'string') return picture;
  const url: unknown = typeof picture === 'object' && picture !== null && 'url' in picture ? picture.url : undefined;
  return typeof url === 'string' ? url : undefined;
}

/** One text field is that text; several are their JSON, in the order of `rank_fields`. */
function ofFields(sent: SentObject, [list, index]: readonly PropertyKey[], rankFields: readonly string[]): string {
  const present = rankFields.filter((field) => Object.hasOwn(sent, field));
  // Without any of them all documents would be the same text, and get the same score.
  if (present.length === 0) throw invalid(`${String(list)}[${String(index)}] has none of rank_fields`);
  const only = present.length === 1 ? sent[present[0]!] : undefined;
  if (typeof only === 'string') return only;
  return JSON.stringify(Object.fromEntries(present.map((field) => [field, sent[field]])));
}
