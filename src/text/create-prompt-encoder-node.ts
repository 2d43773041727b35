import { builtInPrompt, type TokenizeWhole } from './built-in-prompt.ts';
import type { PairEncoder } from './encoded-pair.ts';
import { scoresSingleToken } from './find-template-node.ts';
import type { SingleLayout } from './pair-layout.ts';
import { PromptCutter } from './prompt-cutter.ts';
import { familyOf } from './prompts.ts';
import type { PromptSource } from './prompt-source.ts';
import { startPrompts, type PromptEncoderOptions } from './start-prompts-node.ts';
import { templatePrompt } from './template-prompt.ts';

export type { PromptEncoderOptions };

/**
 * Starts worker threads, and for a chat template a process, that encode prompts for a decoder.
 * @throws WgrankError `tokenizer-invalid`; `template-invalid` when the template fails or loses query or document;
 * `config-invalid`, `launch-refused` when the options do not fit the model
 */
export async function createPromptEncoder(options: PromptEncoderOptions): Promise<PairEncoder> {
  const { maxLength, truncate, escapeSpecialTokens: escape = false } = options;
  return startPrompts(
    options,
    (name, renderer) => templatePrompt({ name, renderer, escape }),
    async ({ layout }, pool, template) => {
      const source =
        template === undefined
          ? await openBuiltIn(options, async (texts, signal) => {
              const tokens = await pool.tokenize(texts, maxLength + 1, signal);
              return tokens.map(({ ids }) => Array.from(ids));
            })
          : surround(template, layout);
      const cutter = new PromptCutter({ source, pool, maxLength, truncate });
      return {
        prompt: source.name,
        encode: (query, documents, encodeOptions = {}) => cutter.encode(query, documents, encodeOptions),
      };
    },
  );
}

async function openBuiltIn(options: PromptEncoderOptions, tokenize: TokenizeWhole): Promise<PromptSource> {
  const { modelDir, architecture, escapeSpecialTokens: escape = false } = options;
  const family = familyOf({ architecture, singleToken: await scoresSingleToken(modelDir) });
  return builtInPrompt(family, tokenize, escape);
}

/** A whole prompt gets the special tokens that the tokenizer puts around any text; Qwen's has none. */
function surround(source: PromptSource, { before, after }: SingleLayout): PromptSource {
  return {
    ...source,
    frame: async (query, instruct, signal) => ({ ...(await source.frame(query, instruct, signal)), before, after }),
  };
}
