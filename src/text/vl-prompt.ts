import type { EncodedPair, EncodeOptions } from './encoded-pair.ts';

/** A picture or clip in a prompt; of the media only what they become there. */
export type MediaPart =
  /** `tokens`: visual tokens of the picture after merging, 1 or more. */
  | { readonly kind: 'image'; readonly tokens: number }
  /** `timestamps`: seconds of each temporal group, one or more. */
  | { readonly kind: 'video'; readonly tokensPerGroup: number; readonly timestamps: readonly number[] };

/** A piece of a query or document. */
export type PromptPart = { readonly kind: 'text'; readonly text: string } | MediaPart;

/** Turns parts into prompts off the event loop. Safe to call concurrently. */
export interface VlPromptEncoder {
  /** What to call the prompt in reports. */
  readonly prompt: string;
  /**
   * Encodes one query with each document, in the documents' order. Every image or video pad among the ids stands for one visual
   * token: first those of the query's media, then those of the document's, in the order of the parts.
   * @throws WgrankError `input-too-long` when truncation is off and a prompt exceeds the limit, or when cutting text cannot make it
   * fit; `template-invalid` when the chat template fails over these parts; `cancelled` on abort
   */
  encode(
    query: readonly PromptPart[],
    documents: readonly (readonly PromptPart[])[],
    options?: EncodeOptions,
  ): Promise<EncodedPair[]>;
  close(): Promise<void>;
}

export const isMedia = (part: PromptPart): part is MediaPart => part.kind !== 'text';

/** Tokens that a part has in the model whatever is cut. */
export function visualTokens(part: PromptPart): number {
  if (part.kind === 'text') return 0;
  return part.kind === 'image' ? part.tokens : part.tokensPerGroup * part.timestamps.length;
}
