import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { createPromptEncoder, type PromptEncoderOptions } from '../../src/text/create-prompt-encoder-node.ts';
import type { PairEncoder } from '../../src/text/encoded-pair.ts';
import { qwen3Folder } from './forms.ts';

const folders: string[] = [];
const encoders = new Map<string, Promise<PairEncoder>>();

/** A folder with the real Qwen3 tokenizer.json (unless one is given) and these files. */
export function modelFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'wgrank-prompt-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  if (!('tokenizer.json' in files))
    symlinkSync(fileURLToPath(new URL('tokenizer.json', qwen3Folder)), join(folder, 'tokenizer.json'));
  return folder;
}

/** A template of the examples. */
export const exampleTemplate = (name: string): string =>
  fileURLToPath(new URL(`../../examples/chat_template/${name}`, import.meta.url));

/** An encoder of Qwen3-Reranker that `closeAll` closes; the same one for the same options, because starting takes a second. */
export function startEncoder(options: Partial<PromptEncoderOptions> = {}): Promise<PairEncoder> {
  const key = JSON.stringify(options);
  let encoder = encoders.get(key);
  if (encoder === undefined) {
    encoder = createPromptEncoder({
      modelDir: options.modelDir ?? modelFolder(),
      architecture: 'Qwen3ForCausalLM',
      maxLength: 8192,
      truncate: true,
      workers: 1,
      ...options,
    });
    encoders.set(key, encoder);
  }
  return encoder;
}

export async function closeAll(): Promise<void> {
  for (const outcome of await Promise.allSettled(encoders.values()))
    if (outcome.status === 'fulfilled') await outcome.value.close();
  encoders.clear();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
}
