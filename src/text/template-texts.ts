import type { PromptPart } from './vl-prompt.ts';

/** A part of a message as templates know it; the key beside `type` is what some of them look for. */
export type TemplatePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly image: string }
  | { readonly type: 'video'; readonly video: string };

/** What a message says: one text, or parts in order. */
export type TemplateContent = string | readonly TemplatePart[];

/** What a template makes one prompt of. */
export interface TemplateTexts {
  readonly query: TemplateContent;
  readonly document: TemplateContent;
  readonly instruct?: TemplateContent | undefined;
}

/** Text of a message that may have parts. */
export function textOf(content: TemplateContent): string {
  if (typeof content === 'string') return content;
  return content.reduce((text, part) => text + (part.type === 'text' ? part.text : ''), '');
}

/** UTF-16 units that the marks of a picture, or of a group of a clip, may take in a prompt, generously. */
const mediaUnits = 64;

/** About how long a prompt becomes, in UTF-16 units. */
export function promptUnits({ query, document, instruct = '' }: TemplateTexts): number {
  return unitsOf(query) + unitsOf(document) + unitsOf(instruct);
}

/** About how much a text or parts add to a prompt, in UTF-16 units. */
export function unitsOf(content: string | readonly (TemplatePart | PromptPart)[]): number {
  if (typeof content === 'string') return content.length;
  return content.reduce((sum, part) => sum + partUnits(part), 0);
}

function partUnits(part: TemplatePart | PromptPart): number {
  if ('text' in part) return part.text.length;
  return mediaUnits * ('timestamps' in part ? part.timestamps.length : 1);
}
