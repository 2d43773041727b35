import { WgrankError, type ErrorCode } from '../errors.ts';
import { quote } from './json-scan.ts';
import { type JsonValue, parseJson } from './json-value.ts';
import { type ModelFolder, locateModelFile, nameFileError, openRegularFile, readFully } from './model-file-node.ts';

/** Published config.json files are a few kilobytes. */
export const maxConfigBytes = 10_000_000;

/**
 * Reads a small file of the model folder whole.
 * @param name plain file name
 * @param limit bytes at most
 * @param code the error for an unreadable or oversized file
 * @throws WgrankError `checkpoint-missing`, `checkpoint-invalid` for a link that leaves the folder, or `code`
 */
export async function readModelFile(
  folder: ModelFolder,
  name: string,
  limit: number,
  code: ErrorCode,
): Promise<Uint8Array> {
  const path = await locateModelFile(folder, name);
  if (path === undefined) {
    throw new WgrankError('checkpoint-missing', 'model folder', `${quote(folder.path)} has no ${name}`);
  }
  const { file, bytes } = await openRegularFile(path, name, 'model folder');
  try {
    if (bytes > limit) throw new WgrankError(code, 'model folder', `${name} has ${bytes} bytes (at most ${limit})`);
    const into = new Uint8Array(bytes);
    const read = await readFully(file, into, 0);
    return into.subarray(0, read);
  } catch (error) {
    throw error instanceof WgrankError ? error : nameFileError(error, name, code, 'model folder');
  } finally {
    await file.close();
  }
}

/**
 * Reads config.json or a file like it: at most 10 MB and 64 levels, no duplicate keys.
 * @throws WgrankError `checkpoint-missing`, `checkpoint-invalid`, `config-invalid`
 */
export async function readJsonFile(folder: ModelFolder, name: string): Promise<JsonValue> {
  const bytes = await readModelFile(folder, name, maxConfigBytes, 'config-invalid');
  return parseJson(bytes, (detail) => new WgrankError('config-invalid', 'config', `${name}: ${detail}`));
}
