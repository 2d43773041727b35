import { z } from 'zod';
import { expected, listOf, text, wholeNumber } from './lax-values.ts';

const patches = { max_dynamic_patch: wholeNumber.nullish(), min_dynamic_patch: wholeNumber.nullish() };
/** A file, or what SGLang does not have: the clip's frames as pictures. */
const clip = z.union(
  [
    text,
    listOf(text)
      .refine((list) => list.length > 0, { error: 'Value error, a clip needs at least one picture.' })
      .meta({ minItems: 1 }),
  ],
  {
    error: expected('a valid string or a list of pictures'),
  },
);
const rate = z
  .number({ error: expected('a valid number') })
  .positive({ error: 'Value error, fps should be larger than 0.' });

/** A part of a query or document, as in the OpenAI and SGLang message format. */
export const part = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text'), text }),
    z.object({
      type: z.literal('image_url'),
      image_url: z.object({ url: text, detail: z.enum(['auto', 'low', 'high']).nullish(), ...patches }),
      modalities: z.enum(['image', 'multi-images', 'video']).nullish(),
    }),
    z.object({ type: z.literal('video_url'), video_url: z.object({ url: clip, fps: rate.nullish(), ...patches }) }),
  ],
  { error: expected("a content part whose type is 'text', 'image_url' or 'video_url'") },
);

export const parts = listOf(part);
export const content = z.union([text, parts], { error: expected('a valid string or a list of content parts') });
