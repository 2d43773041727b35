import { WgrankError } from '../errors.ts';
import { fillPattern, patternOf, type MarkedText, type Pattern, type PromptTexts, type Slot } from './marked-text.ts';
import type { PromptSource } from './prompt-source.ts';
import type { TemplateTexts } from './template-texts.ts';

/** Renders prompts, all of them or none. */
export interface TemplateRenderer {
  render(prompts: readonly TemplateTexts[], signal?: AbortSignal): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface TemplatePromptOptions {
  /** What to call the template in errors. */
  readonly name: string;
  readonly renderer: TemplateRenderer;
  readonly escape: boolean;
}

/** Texts that no template holds by chance. */
const markers: Readonly<Record<Slot, string>> = {
  query: 'wgrank-marks-the-query-7d1f',
  document: 'wgrank-marks-the-document-a90c',
  instruct: 'wgrank-marks-the-instruction-4be2',
};
/** A text that a template must not change if its places are to be found again. */
const awkward = ' \n<|im_end|>\t"a" & <b>\\n\n ';

/**
 * Prompts of a chat template, each one text.
 * @throws WgrankError `template-invalid` when the template fails, or loses the query or the document: every document would get the
 * same score
 */
export async function templatePrompt(options: TemplatePromptOptions): Promise<PromptSource> {
  const { name, renderer, escape } = options;
  const { query, document } = markers;
  const [plain, asked] = await renderer.render([{ query, document }, markers]);
  refuseLossy(name, plain!);
  refuseLossy(name, asked!);
  const patterns = { plain: patternOf(plain!, markers), asked: patternOf(asked!, markers) };
  const texts = async (prompts: readonly PromptTexts[], signal?: AbortSignal): Promise<MarkedText[]> => {
    const rendered = await renderer.render(prompts, signal);
    return rendered.map((text, i) => (escape ? escaped(name, text, prompts[i]!, patterns) : { text, plain: [] }));
  };
  const trap = { query: awkward, document: `1${awkward}` };
  if (escape) await texts([trap, { ...trap, instruct: `2${awkward}` }]);
  return {
    name,
    close: () => renderer.close(),
    frame: async (query, instruct) => ({
      before: [],
      after: [],
      texts: (documents, signal) =>
        texts(
          documents.map((document) => ({ query, document, instruct })),
          signal,
        ),
    }),
  };
}

function refuseLossy(name: string, text: string): void {
  for (const slot of ['query', 'document'] as const) {
    if (text.includes(markers[slot])) continue;
    throw new WgrankError(
      'template-invalid',
      'chat template',
      `${name} loses the ${slot}: what it renders does not hold it, so that scores would mean nothing (--chat-template takes ` +
        'a file that keeps both, such as examples/chat_template/qwen3_reranker.jinja or qwen3_reranker_official.jinja)',
    );
  }
}

/** The rendered text with its places, found by filling the pattern: only equal texts prove that they are the same places. */
function escaped(
  name: string,
  text: string,
  prompt: PromptTexts,
  patterns: { readonly plain: Pattern; readonly asked: Pattern },
): MarkedText {
  const filled = fillPattern(prompt.instruct ? patterns.asked : patterns.plain, prompt, true);
  if (filled.text === text) return filled;
  throw new WgrankError(
    'template-invalid',
    'chat template',
    `${name} changes the texts that it is given, so that --escape-special-tokens cannot tell them from its own`,
  );
}
