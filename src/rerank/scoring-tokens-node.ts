import { ConfigReader } from '../checkpoint/config.ts';
import { openModelFolder, type ModelFolder } from '../checkpoint/model-file-node.ts';
import { readJsonFile, readModelFile } from '../checkpoint/read-json-node.ts';
import { WgrankError } from '../errors.ts';
import type { ScoringTokens } from '../models/model.ts';
import { familyOf, promptFamilies } from '../text/prompts.ts';

/** Ids of `yes` and `no` in Qwen's published vocabulary, which SGLang falls back on too. */
const qwenAnswers: ScoringTokens = { yes: 9693, no: 2152 };

const scoreFile = '1_LogitScore/config.json';
/** Qwen3's tokenizer.json has 11 MB. */
const maxTokenizerBytes = 256 * 2 ** 20;

/**
 * The tokens that a causal LM is scored by: as `1_LogitScore/config.json` says, else by the answers' names in tokenizer.json,
 * else Qwen's own ids.
 * @throws WgrankError `config-invalid`, `tokenizer-invalid`, `checkpoint-invalid`
 */
export async function readScoringTokens(modelDir: string, architecture: string): Promise<ScoringTokens> {
  const folder = await openModelFolder(modelDir);
  const stated = await unlessMissing(readStatedTokens(folder));
  if (stated) return stated;
  if (!['Qwen3ForCausalLM', 'Qwen2ForCausalLM', 'Qwen3VLForConditionalGeneration'].includes(architecture))
    throw new WgrankError('config-invalid', 'scoring', `no ${scoreFile} names the tokens of ${architecture}`);
  const family = familyOf({ architecture, singleToken: false });
  const names = promptFamilies[family].answers;
  const vocabulary = (await unlessMissing(readVocabulary(folder))) ?? {};
  const idOf = (name: string) => (Object.hasOwn(vocabulary, name) ? checkId(name, vocabulary[name]) : undefined);
  const [yes, no] = [idOf(names.yes), names.no === null ? undefined : idOf(names.no)];
  if (yes !== undefined && no !== undefined) return { yes, no };
  if (family === 'qwen3' || family === 'qwen3-vl') return qwenAnswers;
  throw new WgrankError(
    'tokenizer-invalid',
    'scoring',
    `tokenizer.json has no token ${JSON.stringify(yes === undefined ? names.yes : names.no)}, which ${architecture} is scored by`,
  );
}

async function readStatedTokens(folder: ModelFolder): Promise<ScoringTokens> {
  const config = new ConfigReader(await readJsonFile(folder, scoreFile), scoreFile);
  const id = { min: 0, max: 2 ** 30 };
  const yes = config.integer('true_token_id', id);
  const no = config.optionalInteger('false_token_id', id);
  return { yes, ...(no !== undefined && { no }) };
}

async function readVocabulary(folder: ModelFolder): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readModelFile(folder, 'tokenizer.json', maxTokenizerBytes, 'tokenizer-invalid');
  let parsed: { model?: { vocab?: unknown } } | null;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes)) as typeof parsed;
  } catch (cause) {
    throw new WgrankError('tokenizer-invalid', 'tokenizer.json', 'malformed JSON', { cause });
  }
  const vocabulary = parsed?.model?.vocab;
  // Unigram models have a list, whose keys are no tokens.
  const named = typeof vocabulary === 'object' && vocabulary !== null && !Array.isArray(vocabulary);
  return named ? (vocabulary as Record<string, unknown>) : {};
}

function checkId(name: string, id: unknown): number {
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id;
  const shown = JSON.stringify(id).slice(0, 50);
  throw new WgrankError(
    'tokenizer-invalid',
    'tokenizer.json',
    `the id of ${JSON.stringify(name)} is ${shown} (a whole number)`,
  );
}

/** Undefined for a file that does not exist. */
async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (reason) {
    if (reason instanceof WgrankError && reason.code === 'checkpoint-missing') return undefined;
    throw reason;
  }
}
