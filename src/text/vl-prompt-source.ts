import { WgrankError } from '../errors.ts';
import { fillPattern, type Pattern } from './marked-text.ts';
import { LongWork } from './long-work.ts';
import { hasClipMarks, type SlottedText } from './media-slots.ts';
import type { TemplateRenderer } from './template-prompt.ts';
import type { TemplateContent, TemplatePart, TemplateTexts } from './template-texts.ts';
import {
  findAllPads,
  findTypedPads,
  marksIn,
  PadHider,
  padTokens,
  showBars,
  visionEnd,
  visionStart,
} from './typed-pads.ts';
import { isMedia, type PromptPart } from './vl-prompt.ts';

/** What one prompt is made of. */
export interface VlTexts {
  readonly query: readonly PromptPart[];
  readonly document: readonly PromptPart[];
  readonly instruct?: string | undefined;
}

/** How a template takes what it is given: lists of parts, or texts in which the marks of media stand already. */
export interface ContentForm {
  readonly content: 'parts' | 'text';
  readonly instruct: 'parts' | 'text';
}

/** Where the prompts of a vision-language model come from. */
export interface VlPromptSource {
  /** What to call it in reports. */
  readonly name: string;
  /**
   * Renders prompts, all of them or none.
   * @throws WgrankError `template-invalid` when media come out in another number or order than they went in
   */
  prompts(texts: readonly VlTexts[], signal?: AbortSignal): Promise<SlottedText[]>;
}

export interface VlPromptSourceOptions {
  readonly name: string;
  readonly renderer: Pick<TemplateRenderer, 'render'>;
  readonly form: ContentForm;
  /** Nothing that a request spells is a special token. Default: only its pads are none. */
  readonly escape: boolean;
  /** A rendering, for what the template itself holds. */
  readonly sample: string;
}

/** Prompts of a template, each one text whose pads are known. */
export function vlPromptSource({ name, renderer, form, escape, sample }: VlPromptSourceOptions): VlPromptSource {
  const patternsOf = patternCache(renderer, form);
  const templateMarks = marksIn(sample, new LongWork());
  return {
    name,
    async prompts(texts, signal) {
      const work = new LongWork();
      const hider = new PadHider(await templateMarks, work);
      const marks: string[] = [];
      const asked: TemplateTexts[] = [];
      for (const prompt of texts) {
        const hidden = await hider.hide(textsIn(prompt));
        marks.push(hidden.mark);
        asked.push(asTemplateTexts(hidden.mark === '' ? prompt : withTexts(prompt, hidden.texts), form));
      }
      const rendered = await renderer.render(asked, signal);
      const patterns = escape ? await patternsOf(texts, signal) : undefined;
      const slotted: SlottedText[] = [];
      for (const [i, prompt] of texts.entries()) {
        const mark = marks[i]!;
        const slots = await findAllPads(rendered[i]!, work);
        checkSlots(name, rendered[i]!, slots, mediaOf(prompt));
        const text = await showBars(rendered[i]!, mark, work);
        let plain: readonly number[] = [];
        if (patterns) plain = escapedRanges(name, text, prompt, patterns[i]!);
        else if (mark !== '') plain = await findTypedPads(text, slots, work);
        slotted.push({ text, plain, slots });
      }
      return slotted;
    },
  };
}

/** Pictures and clips in the order of their pads. */
export const mediaOf = ({ query, document }: Pick<VlTexts, 'query' | 'document'>) =>
  query.filter(isMedia).concat(document.filter(isMedia));

/** A prompt for a template. */
export function asTemplateTexts({ query, document, instruct }: VlTexts, form: ContentForm): TemplateTexts {
  const content = form.content === 'parts' ? listParts : joinParts;
  const system = (text: string): TemplateContent => (form.instruct === 'parts' ? [{ type: 'text', text }] : text);
  return { query: content(query), document: content(document), ...(instruct && { instruct: system(instruct) }) };
}

const listParts = (parts: readonly PromptPart[]): TemplatePart[] =>
  parts.map((part) => {
    if (part.kind === 'text') return { type: 'text', text: part.text };
    return part.kind === 'image' ? { type: 'image', image: 'image' } : { type: 'video', video: 'video' };
  });

const joinParts = (parts: readonly PromptPart[]): string =>
  parts.reduce(
    (text, part) => text + (part.kind === 'text' ? part.text : visionStart + padTokens[part.kind] + visionEnd),
    '',
  );

/** @throws WgrankError `template-invalid` unless each picture and clip has its pad, in order */
export function checkSlots(
  name: string,
  text: string,
  slots: SlottedText['slots'],
  media: readonly { readonly kind: 'image' | 'video' }[],
): void {
  if (listKinds(slots) !== listKinds(media))
    throw invalid(
      `${name} loses or moves pictures and clips: given ${listKinds(media)} it writes ${listKinds(slots)} (expected one pad each, the ` +
        "query's before the document's)",
    );
  const bare = slots.find((slot) => slot.kind === 'video' && !hasClipMarks(text, slot));
  if (bare !== undefined)
    throw invalid(`${name} writes a clip's pad without ${visionStart} before it and ${visionEnd} behind it`);
}

const listKinds = (kinds: readonly { readonly kind: string }[]): string =>
  kinds.length === 0 ? 'none' : kinds.map(({ kind }) => kind).join(', ');

/** Texts of a prompt in a fixed order. */
function textsIn({ query, document, instruct = '' }: VlTexts): string[] {
  const texts: string[] = [];
  for (const parts of [query, document]) for (const part of parts) if (part.kind === 'text') texts.push(part.text);
  texts.push(instruct);
  return texts;
}

/** The same prompt with other texts, in the order of `textsIn`. */
function withTexts({ query, document }: VlTexts, texts: readonly string[]): VlTexts {
  let next = 0;
  const replace = (part: PromptPart): PromptPart => (part.kind === 'text' ? { ...part, text: texts[next++]! } : part);
  return { query: query.map(replace), document: document.map(replace), instruct: texts[next] };
}

/** Texts that no template holds by chance. */
const marker = (index: number): string => `wgrank-marks-text-${index}-7d1f`;

/** Patterns of prompts: what the template makes of markers in the place of the texts. Those of equal build are rendered once. */
function patternCache(renderer: Pick<TemplateRenderer, 'render'>, form: ContentForm) {
  return async (prompts: readonly VlTexts[], signal?: AbortSignal): Promise<Pattern<`${number}`>[]> => {
    const builds = prompts.map((prompt) => {
      // An empty text stays empty: templates may leave it out.
      const marked = withTexts(
        prompt,
        textsIn(prompt).map((text, index) => (text === '' ? '' : marker(index))),
      );
      return asTemplateTexts(marked, form);
    });
    const keys = builds.map((build) => JSON.stringify(build));
    const distinct = [...new Map(keys.map((key, i) => [key, builds[i]!]))];
    const rendered = await renderer.render(
      distinct.map(([, build]) => build),
      signal,
    );
    const patterns = new Map(distinct.map(([key], i) => [key, patternIn(rendered[i]!)]));
    return keys.map((key) => patterns.get(key)!);
  };
}

/** Pieces at odd places are numbers of texts. */
function patternIn(text: string): Pattern<`${number}`> {
  return text
    .split(/wgrank-marks-text-(\d+)-7d1f/)
    .map((piece, i) => (i % 2 === 0 ? piece : { slot: piece as `${number}` }));
}

/** Ranges of a request's texts, found by filling the pattern: only equal texts prove that they are the same places. */
function escapedRanges(name: string, text: string, prompt: VlTexts, pattern: Pattern<`${number}`>): readonly number[] {
  const filled = fillPattern(pattern, Object.fromEntries(textsIn(prompt).entries()), true);
  if (filled.text === text) return filled.plain;
  throw invalid(
    `${name} changes the texts that it is given, so that --escape-special-tokens cannot tell them from its own`,
  );
}

export const invalid = (detail: string): WgrankError => new WgrankError('template-invalid', 'chat template', detail);
