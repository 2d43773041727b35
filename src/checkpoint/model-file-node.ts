import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, sep, isAbsolute } from 'node:path';
import { type ErrorCode, WgrankError } from '../errors.ts';
import { quote } from './json-scan.ts';

/** A model folder after its links are followed. */
export interface ModelFolder {
  readonly path: string;
  /** Files may lie here: the folder itself, or for a snapshot of the hub cache the repository's folder with its blobs. */
  readonly root: string;
}

/** The `code` of a Node file system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Turns a file system error into the error that names the file: `checkpoint-missing` when it does not exist, otherwise `code`.
 */
export function nameFileError(error: unknown, file: string, code: ErrorCode, where: string): WgrankError {
  const errno = errnoOf(error);
  const missing = errno === 'ENOENT' || errno === 'ENOTDIR';
  const detail = missing ? 'does not exist' : `cannot be read: ${errno ?? String(error)}`;
  return new WgrankError(missing ? 'checkpoint-missing' : code, where, `${quote(file)} ${detail}`, { cause: error });
}

/**
 * @param dir folder with config.json, tokenizer.json and *.safetensors
 * @throws WgrankError `checkpoint-missing`
 */
export async function openModelFolder(dir: string): Promise<ModelFolder> {
  if (dir.includes('\0')) throw new WgrankError('checkpoint-missing', 'model folder', `${quote(dir)} holds a NUL`);
  let path: string;
  try {
    path = await realpath(dir);
  } catch (error) {
    throw nameFileError(error, dir, 'checkpoint-missing', 'model folder');
  }
  // Hub cache: models--org--name/snapshots/<commit>/<file> → ../../blobs/<hash>.
  const snapshots = dirname(path);
  const repository = dirname(snapshots);
  const inCache = basename(snapshots) === 'snapshots' && basename(repository).startsWith('models--');
  return { path, root: inCache ? repository : path };
}

/**
 * Follows the links of a file of the model folder and checks that it stays inside.
 * @param name a plain file name, or one in a folder of plain name: `1_LogitScore/config.json`
 * @returns the real path, or undefined when there is no such file
 * @throws WgrankError `checkpoint-invalid` when it lies elsewhere
 */
export async function locateModelFile(folder: ModelFolder, name: string): Promise<string | undefined> {
  const link = join(folder.path, name);
  const steps = name.split('/');
  if (steps.length > 2 || steps.some((step) => basename(step) !== step || /^\.{0,2}$|\0/.test(step))) {
    throw new WgrankError('checkpoint-invalid', 'model folder', `${quote(name)} is no plain file name`);
  }
  let path: string;
  try {
    path = await realpath(link);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw nameFileError(error, link, 'checkpoint-invalid', 'model folder');
  }
  const inside = relative(folder.root, path);
  if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    const rule = 'files of a model must lie in its folder, or in the blobs of the same hub cache entry';
    throw new WgrankError('checkpoint-invalid', 'model folder', `${quote(link)} links to ${quote(path)} (${rule})`);
  }
  return path;
}

/**
 * Checks before others read them that whatever a model folder has of these files lies inside. A folder that does not exist has none.
 * @param names as `locateModelFile` takes them
 * @throws WgrankError `checkpoint-invalid`
 */
export async function keepInside(dir: string, names: readonly string[]): Promise<void> {
  const folder = await openModelFolder(dir).catch((error: unknown) => {
    if (error instanceof WgrankError && error.code === 'checkpoint-missing') return undefined;
    throw error;
  });
  if (folder) for (const name of names) await locateModelFile(folder, name);
}

/**
 * Opens a regular file for reading.
 * @param path a real path; a link put there in between is refused
 * @param shown the name for messages
 * @throws WgrankError `checkpoint-missing`, `checkpoint-invalid`
 */
export async function openRegularFile(
  path: string,
  shown: string,
  where: string,
): Promise<{ file: FileHandle; bytes: number }> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer. Windows has neither flag.
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    file = await open(path, flags);
    const stats = await file.stat();
    if (stats.isFile()) return { file, bytes: stats.size };
  } catch (error) {
    await file?.close();
    throw nameFileError(error, shown, 'checkpoint-invalid', where);
  }
  await file.close();
  throw new WgrankError('checkpoint-invalid', where, `${quote(shown)} is no regular file`);
}

/**
 * Reads [position, position + into.length) of a file.
 * @returns the bytes read; fewer only when the file ends before
 */
export async function readFully(file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    // Linux reads at most 2 GiB − 4 KiB at a time, and Node takes no larger length.
    const length = Math.min(into.length - done, 2 ** 30);
    const { bytesRead } = await file.read(into, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
