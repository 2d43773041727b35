import { WgrankError } from '../errors.ts';
import type { TemplateRenderer } from './template-prompt.ts';
import { findPads } from './typed-pads.ts';
import {
  asTemplateTexts,
  checkSlots,
  invalid,
  mediaOf,
  vlPromptSource,
  type ContentForm,
  type VlPromptSource,
  type VlTexts,
} from './vl-prompt-source.ts';
import type { PromptPart } from './vl-prompt.ts';

/** Lists first, as SGLang and Hugging Face give them; then texts, as vLLM does. */
const forms: readonly ContentForm[] = [
  { content: 'parts', instruct: 'parts' },
  { content: 'parts', instruct: 'text' },
  { content: 'text', instruct: 'text' },
];

const text = (content: string): PromptPart => ({ kind: 'text', text: content });
const image: PromptPart = { kind: 'image', tokens: 1 };
const clip: PromptPart = { kind: 'video', tokensPerGroup: 1, timestamps: [0] };
const mark = (what: string): string => `wgrank-marks-${what}-a90c`;
const instruct = mark('the-instruction');
/** The kinds are in an order that any exchange of sides, kinds or directions changes. */
const probe: VlTexts = {
  query: [text(mark('query-1')), image, image, clip, text(mark('query-2')), image],
  document: [text(mark('document-1')), clip, clip, image, text(mark('document-2')), clip],
};
/** A text that a template must not change if its places are to be found again. */
const awkward = text(' \n<|im_end|>\t"a" & <b>\\n\n ');

export interface VlTemplateOptions {
  /** What to call the template in errors. */
  readonly name: string;
  readonly renderer: TemplateRenderer;
  readonly escape: boolean;
}

/**
 * Prompts of a chat template.
 * @throws WgrankError `template-invalid` when the template fails, or loses a text, a picture or a clip
 */
export async function vlTemplatePrompt({ name, renderer, escape }: VlTemplateOptions): Promise<VlPromptSource> {
  const tried: { form: ContentForm; sample: string; asks: boolean }[] = [];
  let failure: WgrankError | undefined;
  for (const form of forms) {
    try {
      const [plain, asked] = await renderer.render(
        [probe, { ...probe, instruct }].map((prompt) => asTemplateTexts(prompt, form)),
      );
      for (const rendered of [plain!, asked!]) refuseLossy(name, rendered);
      tried.push({ form, sample: asked!, asks: asked!.includes(instruct) && !listed(asked!, instruct) });
      if (tried.at(-1)!.asks) break;
    } catch (error) {
      if (!(error instanceof WgrankError) || error.code !== 'template-invalid') throw error;
      failure ??= error;
    }
  }
  const found = tried.find(({ asks }) => asks) ?? tried[0];
  if (found === undefined) throw failure;
  const source = vlPromptSource({ name, renderer, escape, form: found.form, sample: found.sample });
  const trap = { query: [awkward, image, awkward], document: [awkward, clip] };
  if (escape) await source.prompts([trap, { ...trap, instruct }]);
  return source;
}

/** True when a template writes a list of parts as such, and not the parts. */
const listed = (rendered: string, content: string): boolean => rendered.includes(`"text": "${content}"`);

function refuseLossy(name: string, rendered: string): void {
  for (const side of ['query', 'document'] as const) {
    const parts = [mark(`${side}-1`), mark(`${side}-2`)];
    if (parts.every((part) => rendered.includes(part) && !listed(rendered, part))) continue;
    throw invalid(
      `${name} loses the ${side}: what it renders does not hold its texts, so that scores would mean nothing (--chat-template ` +
        'takes a file that keeps all parts, such as examples/chat_template/qwen3_vl_reranker.jinja)',
    );
  }
  checkSlots(name, rendered, findPads(rendered), mediaOf(probe));
}
