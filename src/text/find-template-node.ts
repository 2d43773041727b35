import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { WgrankError } from '../errors.ts';
import { isRerankerTemplate, type ChatTemplate } from './chat-template.ts';

/** Published ones have up to 20 KB, configs up to 10 MB. */
const maxTemplateBytes = 2 ** 20;
const maxConfigBytes = 16 * 2 ** 20;

/** The template that an operator names. @throws WgrankError `template-invalid` */
export async function readChatTemplate(path: string, modelDir: string): Promise<ChatTemplate> {
  const source = await readText(path, maxTemplateBytes);
  if (source === undefined)
    throw new WgrankError(
      'template-invalid',
      'chat template',
      `${path} does not exist (wgrank brings examples/chat_template/qwen3_reranker.jinja, qwen3_reranker_official.jinja and ` +
        'qwen3_vl_reranker.jinja)',
    );
  return { source, name: path, specialTokens: specialTokensOf(await readObject(modelDir, 'tokenizer_config.json')) };
}

/**
 * A checkpoint's own reranker template; templates for conversations do not count.
 * @throws WgrankError `template-invalid` when a file cannot be read
 */
export async function findChatTemplate(modelDir: string): Promise<ChatTemplate | undefined> {
  const config = await readObject(modelDir, 'tokenizer_config.json');
  const specialTokens = specialTokensOf(config);
  const found: { name: string; source: string }[] = [];
  for (const name of ['additional_chat_templates/reranker.jinja', 'chat_template.jinja']) {
    const source = await readText(join(modelDir, name), maxTemplateBytes);
    if (source !== undefined) found.push({ name, source });
  }
  for (const source of configTemplates(config['chat_template'])) found.push({ name: 'tokenizer_config.json', source });
  const own = found.find(({ source }) => isRerankerTemplate(source));
  return own && { ...own, specialTokens };
}

/** True when `1_LogitScore/config.json` says that one token's logit is the score. */
export async function scoresSingleToken(modelDir: string): Promise<boolean> {
  const config = await readObject(modelDir, '1_LogitScore/config.json');
  return typeof config['true_token_id'] === 'number' && config['false_token_id'] === null;
}

/** One template, or a list of named ones. */
function configTemplates(value: unknown): string[] {
  const entries: unknown[] = Array.isArray(value) ? value : [value];
  return entries.flatMap((entry) => {
    const source: unknown = isObject(entry) ? entry['template'] : entry;
    return typeof source === 'string' ? [source] : [];
  });
}

function specialTokensOf(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    const content: unknown = isObject(value) ? value['content'] : value;
    if (/^[a-z]+_token$/.test(key) && typeof content === 'string') tokens[key] = content;
  }
  return tokens;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON object, empty when there is no such file. */
async function readObject(modelDir: string, name: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readText(join(modelDir, name), maxConfigBytes);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new WgrankError('template-invalid', 'chat template', `${name} is not a JSON object`);
}

async function readText(path: string, maxBytes: number): Promise<string | undefined> {
  const fault = (what: string): WgrankError => new WgrankError('template-invalid', 'chat template', `${path} ${what}`);
  try {
    const found = await stat(path);
    // A pipe would be waited for without end.
    if (!found.isFile()) throw fault('is not a regular file');
    if (found.size > maxBytes) throw fault(`has ${found.size} bytes (at most ${maxBytes})`);
    const bytes = await readFile(path);
    if (!isUtf8(bytes)) throw fault('is not UTF-8');
    return bytes.toString('utf8');
  } catch (error) {
    if (error instanceof WgrankError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw fault(`cannot be read: ${code ?? String(error)}`);
  }
}
