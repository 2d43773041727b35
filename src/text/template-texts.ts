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
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** UTF-16 units that a picture's or clip's marks may take in a prompt, generously. */
const mediaUnits = 64;

/** About how long a prompt becomes, in UTF-16 units. */
export function unitsOf({ query, document, instruct = '' }: TemplateTexts): number {
  return contentUnits(query) + contentUnits(document) + contentUnits(instruct);
}

function contentUnits(content: TemplateContent): number {
  if (typeof content === 'string') return content.length;
  return content.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length : mediaUnits), 0);
}
