import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { WgrankError } from '../errors.ts';
import { decodeMediaRules, type MediaRules, type SettingsFile } from './media-rules.ts';

/** Published ones have under a kilobyte. */
const maxFileBytes = 2 ** 20;

/** Files of a model folder that are read here, each where it exists. */
export const mediaRuleFiles = ['processor_config.json', 'preprocessor_config.json', 'video_preprocessor_config.json'];

/**
 * Reads how a checkpoint wants its media prepared: from `processor_config.json` as transformers 5 saves it, else from
 * `preprocessor_config.json` and `video_preprocessor_config.json`. Without a file for clips the base models' values hold.
 * @throws WgrankError `checkpoint-missing` when nothing says how pictures are prepared, `config-invalid`
 */
export async function readMediaRules(modelDir: string): Promise<MediaRules> {
  const both = await readSettings(modelDir, 'processor_config.json');
  const image = nestedIn(both, 'image_processor') ?? (await readSettings(modelDir, 'preprocessor_config.json'));
  if (image === undefined)
    throw new WgrankError(
      'checkpoint-missing',
      'model folder',
      `${JSON.stringify(modelDir)} has no preprocessor_config.json (it says how large the model wants its pictures)`,
    );
  const video = nestedIn(both, 'video_processor') ?? (await readSettings(modelDir, 'video_preprocessor_config.json'));
  return decodeMediaRules(image, video);
}

/** Older forms of processor_config.json hold other things. */
function nestedIn(file: SettingsFile | undefined, key: string): SettingsFile | undefined {
  const { value } = file ?? {};
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return { name: `${file!.name}, ${key}`, value: (value as Readonly<Record<string, unknown>>)[key] };
}

async function readSettings(modelDir: string, name: string): Promise<SettingsFile | undefined> {
  const text = await readText(join(modelDir, name), name);
  if (text === undefined) return undefined;
  try {
    return { name, value: JSON.parse(text) as unknown };
  } catch {
    throw fault(name, 'malformed JSON');
  }
}

async function readText(path: string, name: string): Promise<string | undefined> {
  try {
    const found = await stat(path);
    // A pipe would be waited for without end.
    if (!found.isFile()) throw fault(name, 'it is not a regular file');
    if (found.size > maxFileBytes) throw fault(name, `it has ${found.size} bytes (at most ${maxFileBytes})`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof WgrankError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw fault(name, `it cannot be read: ${code ?? String(error)}`);
  }
}

function fault(name: string, what: string): WgrankError {
  return new WgrankError('config-invalid', 'config', `${name}: ${what}`);
}
