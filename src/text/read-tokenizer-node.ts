import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { WgrankError } from '../errors.ts';
import { readTokenizerJson } from './tokenizer-json.ts';
import type { TokenizerFile } from './tokenizer-json.ts';

/** A vocabulary of 250,000 pieces takes 17 MB. */
const maxFileBytes = 256 * 2 ** 20;

/**
 * Reads tokenizer.json of a model folder, with tokenizer_config.json and special_tokens_map.json where they exist.
 * @throws WgrankError `tokenizer-invalid` when a file is missing, unreadable or of an unsupported form
 */
export async function readTokenizerFolder(modelDir: string): Promise<TokenizerFile> {
  const bytes = await readText(modelDir, 'tokenizer.json');
  if (bytes === null) throw fileFault('tokenizer.json', `it is missing in ${modelDir}`);
  const configs: unknown[] = [];
  for (const name of ['tokenizer_config.json', 'special_tokens_map.json']) {
    const config = await readText(modelDir, name);
    if (config !== null) configs.push(parseConfig(config, name));
  }
  return readTokenizerJson(bytes, configs);
}

async function readText(modelDir: string, name: string): Promise<Buffer | null> {
  const path = join(modelDir, name);
  try {
    const { size } = await stat(path).then((found) => {
      // A pipe would be waited for without end.
      if (!found.isFile()) throw fileFault(name, 'it is not a regular file');
      return found;
    });
    if (size > maxFileBytes) throw fileFault(name, `it has ${size} bytes (at most ${maxFileBytes})`);
    const bytes = await readFile(path);
    if (!isUtf8(bytes)) throw fileFault(name, 'it is not UTF-8');
    return bytes;
  } catch (error) {
    if (error instanceof WgrankError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new WgrankError('tokenizer-invalid', name, `it cannot be read: ${code ?? String(error)}`, { cause: error });
  }
}

function parseConfig(bytes: Buffer, name: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw fileFault(name, 'malformed JSON');
  }
}

function fileFault(name: string, what: string): WgrankError {
  return new WgrankError('tokenizer-invalid', name, what);
}
