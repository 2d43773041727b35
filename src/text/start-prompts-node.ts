import { WgrankError } from '../errors.ts';
import type { PairEncoderOptions } from './create-pair-encoder-node.ts';
import { findChatTemplate, readChatTemplate } from './find-template-node.ts';
import type { SingleLayout } from './pair-layout.ts';
import { TemplateProcess } from './template-process-node.ts';
import type { TemplateRenderer } from './template-prompt.ts';
import type { TokenizerParts } from './exact-tokenizer.ts';
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

/** A tokenizer that prompts can be tokenised with. */
export interface PromptTokens {
  readonly parts: TokenizerParts;
  /** Special tokens around any text. */
  readonly layout: SingleLayout;
}

/**
 * Starts worker threads, and a process for the chat template if there is one, and builds an encoder on them that closes both.
 * @param tryTemplate tries the operator's template or the checkpoint's own
 * @param build       makes the encoder; without a template from the built-in prompt
 * @throws WgrankError `tokenizer-invalid`, `template-invalid`, `config-invalid`, `launch-refused`
 */
export async function startPrompts<Source, Encoder extends object>(
  options: PromptEncoderOptions,
  tryTemplate: (name: string, renderer: TemplateRenderer) => Promise<Source>,
  build: (tokens: PromptTokens, pool: TokenizerPool, template: Source | undefined) => Promise<Encoder>,
): Promise<Encoder & { close(): Promise<void> }> {
  const { modelDir, workers, maxLength } = options;
  if (!Number.isInteger(maxLength) || maxLength < 1)
    throw new WgrankError(
      'config-invalid',
      'tokenizer',
      `a prompt has at most ${maxLength} tokens (expected 1 or more)`,
    );
  const pool = new TokenizerPool({ modelDir, workers });
  const opening = openTemplate(options, tryTemplate);
  const close = async (): Promise<void> => {
    const template = await opening.catch(() => undefined);
    await Promise.all([pool.close(), template?.renderer.close()]);
  };
  try {
    const [file, template] = await Promise.all([pool.loaded(), opening]);
    const tokens = checkTokenizer(file, options.escapeSpecialTokens ?? false);
    return { ...(await build(tokens, pool, template?.source)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function checkTokenizer({ parts, layout }: TokenizerFile, escape: boolean): PromptTokens {
  if (layout.kind !== 'single')
    throw new WgrankError('tokenizer-invalid', 'tokenizer.json', 'model: a decoder needs a BPE model, not Unigram');
  const late = parts.addedTokens.find(({ normalized }) => normalized);
  if (escape && late !== undefined)
    throw new WgrankError(
      'launch-refused',
      'tokenizer',
      `--escape-special-tokens cannot hold back ${late.content}, which is looked for in normalised text`,
    );
  return { parts, layout };
}

/** The operator's template or the checkpoint's own, tried; undefined when there is none. */
async function openTemplate<Source>(
  { modelDir, chatTemplate }: PromptEncoderOptions,
  tryTemplate: (name: string, renderer: TemplateRenderer) => Promise<Source>,
): Promise<{ readonly source: Source; readonly renderer: TemplateRenderer } | undefined> {
  const template =
    chatTemplate === undefined ? await findChatTemplate(modelDir) : await readChatTemplate(chatTemplate, modelDir);
  if (template === undefined) return undefined;
  const renderer = new TemplateProcess(template);
  try {
    return { source: await tryTemplate(template.name, renderer), renderer };
  } catch (error) {
    await renderer.close();
    throw error;
  }
}
