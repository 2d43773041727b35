import { WgrankError } from '../errors.ts';
import { builtInPrompt, type TokenizeWhole } from './built-in-prompt.ts';
import type { PairEncoderOptions } from './create-pair-encoder-node.ts';
import type { PairEncoder } from './encoded-pair.ts';
import { findChatTemplate, readChatTemplate, scoresSingleToken } from './find-template-node.ts';
import type { SingleLayout } from './pair-layout.ts';
import { PromptCutter } from './prompt-cutter.ts';
import { familyOf } from './prompts.ts';
import type { PromptSource } from './prompt-source.ts';
import { TemplateProcess } from './template-process-node.ts';
import { templatePrompt } from './template-prompt.ts';
import type { TokenizerFile } from './tokenizer-json.ts';
import { TokenizerPool } from './tokenizer-pool-node.ts';

export interface PromptEncoderOptions extends PairEncoderOptions {
  /** `architectures[0]` of config.json; decides between the built-in prompts. */
  readonly architecture: string;
  /** File of a chat template; default: the checkpoint's own reranker template, else the built-in prompt. */
  readonly chatTemplate?: string | undefined;
  /** Special-token strings in query, documents and instruction are text. Default: they are special tokens, as for the reference. */
  readonly escapeSpecialTokens?: boolean | undefined;
}

/**
 * Starts worker threads, and for a chat template a process, that encode prompts for a decoder.
 * @throws WgrankError `tokenizer-invalid`; `template-invalid` when the template fails or loses query or document;
 * `config-invalid`, `launch-refused` when the options do not fit the model
 */
export async function createPromptEncoder(options: PromptEncoderOptions): Promise<PairEncoder> {
  const { maxLength, truncate } = options;
  if (!Number.isInteger(maxLength) || maxLength < 1)
    throw new WgrankError(
      'config-invalid',
      'tokenizer',
      `a prompt has at most ${maxLength} tokens (expected 1 or more)`,
    );
  const pool = new TokenizerPool({ modelDir: options.modelDir, workers: options.workers });
  const opening = openTemplate(options);
  const closeAll = async (): Promise<void> => {
    const template = await opening.catch(() => undefined);
    await Promise.all([pool.close(), template?.close()]);
  };
  try {
    const [file, template] = await Promise.all([pool.loaded(), opening]);
    const layout = checkTokenizer(file, options.escapeSpecialTokens ?? false);
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
      encode: (query, documents, { signal, instruct } = {}) =>
        cutter.encode(query, documents, instruct === '' ? undefined : instruct, signal),
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** @returns the special tokens around a text */
function checkTokenizer({ parts, layout }: TokenizerFile, escape: boolean): SingleLayout {
  if (layout.kind !== 'single')
    throw new WgrankError('tokenizer-invalid', 'tokenizer.json', 'model: a decoder needs a BPE model, not Unigram');
  const late = parts.addedTokens.find(({ normalized }) => normalized);
  if (escape && late !== undefined)
    throw new WgrankError(
      'launch-refused',
      'tokenizer',
      `--escape-special-tokens cannot hold back ${late.content}, which is looked for in normalised text`,
    );
  return layout;
}

/** The operator's template or the checkpoint's own, tried; undefined when there is none. */
async function openTemplate(options: PromptEncoderOptions): Promise<PromptSource | undefined> {
  const { modelDir, chatTemplate, escapeSpecialTokens: escape = false } = options;
  const template =
    chatTemplate === undefined ? await findChatTemplate(modelDir) : await readChatTemplate(chatTemplate, modelDir);
  if (template === undefined) return undefined;
  const renderer = new TemplateProcess(template);
  try {
    return await templatePrompt({ name: template.name, renderer, escape });
  } catch (error) {
    await renderer.close();
    throw error;
  }
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
