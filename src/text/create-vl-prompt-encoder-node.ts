import { WgrankError } from '../errors.ts';
import { startPrompts, type PromptEncoderOptions, type PromptTokens } from './start-prompts-node.ts';
import { padTokens, visionEnd, visionStart } from './typed-pads.ts';
import { vlBuiltInPrompt } from './vl-built-in-prompt.ts';
import { VlPromptCutter, type VlTokens } from './vl-prompt-cutter.ts';
import type { VlPromptEncoder } from './vl-prompt.ts';
import { vlTemplatePrompt } from './vl-template-prompt.ts';
import { maskOf } from './vl-truncation.ts';

/**
 * Starts worker threads, and for a chat template a process, that encode prompts with pictures and clips.
 * @param options `maxLength` as the official code has it: the five tokens at a prompt's end come on top
 * @throws WgrankError `tokenizer-invalid`, also when the vision tokens are missing; `template-invalid` when the template fails or
 * loses a text, a picture or a clip; `config-invalid`, `launch-refused` when the options do not fit the model
 */
export async function createVlPromptEncoder(options: PromptEncoderOptions): Promise<VlPromptEncoder> {
  const { maxLength, truncate, escapeSpecialTokens: escape = false } = options;
  return startPrompts(
    options,
    (name, renderer) => vlTemplatePrompt({ name, renderer, escape }),
    async (file, pool, template) => {
      const tokens = findVlTokens(file);
      const source = template ?? vlBuiltInPrompt(escape);
      const cutter = await VlPromptCutter.create({ source, pool, tokens, maxLength, truncate });
      return {
        prompt: source.name,
        encode: (query, documents, encodeOptions = {}) => cutter.encode(query, documents, encodeOptions),
      };
    },
  );
}

/**
 * Ids of the prompt's structure. transformers' `all_special_ids` are the tokens that are added as special.
 * @throws WgrankError `tokenizer-invalid` when vision tokens are missing
 */
export function findVlTokens({ parts, layout }: PromptTokens): VlTokens {
  const idOf = (content: string): number => {
    const token = parts.addedTokens.find((added) => added.content === content);
    // Looked for in the text as it is written, and without its surroundings: else what a request spells could not be told apart.
    if (token?.special && !token.normalized && !token.lstrip && !token.rstrip) return token.id;
    throw new WgrankError(
      'tokenizer-invalid',
      'tokenizer.json',
      `added_tokens: a vision-language model needs ${content} as a special token that is neither normalized nor strips`,
    );
  };
  for (const content of [visionStart, visionEnd]) idOf(content);
  return {
    special: maskOf(parts.addedTokens.filter((token) => token.special).map(({ id }) => id)),
    pads: maskOf(Object.values(padTokens).map(idOf)),
    around: layout,
  };
}
