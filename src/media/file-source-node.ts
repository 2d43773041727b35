import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';

import { WgrankError } from '../errors.ts';
import { type ByteLimit, cancelled, refuse, tooLarge, unavailable } from './source-limits.ts';

/** Bytes of one read, so that a caller who gives up is heard. */
const readLength = 8 * 2 ** 20;

/**
 * Reads a regular file below a folder. What lies elsewhere is refused by the path's text where that shows, and is otherwise answered
 * like a file that does not exist: a request cannot ask for the names of files outside.
 * @param path plain, with `/`: relative to the folder, or absolute and in it; nothing in it is decoded
 * @param root the folder, or undefined where there is none
 * @throws WgrankError `media-refused`, `media-unavailable`, `media-too-large`, `cancelled`
 */
export async function readFileSource(
  path: string,
  root: string | undefined,
  limit: ByteLimit,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (root === undefined)
    throw refuse('paths are not read here, and this is no data: URI, URL or base64 (--media-root names a folder)');
  if (path.split('/').includes('..')) throw refuse('a path with .. is not read');
  const base = resolve(root);
  const real = await realpath(base).catch(() => undefined);
  if (real === undefined) throw unavailable('the folder of --media-root cannot be read');
  const below = isAbsolute(path) ? (pathBelow(base, path) ?? pathBelow(real, path)) : path;
  if (below === undefined) throw refuse('an absolute path is read only below the folder of --media-root');

  let file: FileHandle | undefined;
  try {
    file = await openBelow(real, below);
    const bytes = file && (await readWhole(file, limit, signal));
    if (bytes !== undefined) return bytes;
  } catch (error) {
    if (error instanceof WgrankError) throw error;
  } finally {
    await file?.close();
  }
  throw unavailable(
    `no file ${JSON.stringify(below.slice(0, 100))} can be read (a regular file below the folder of --media-root, links included)`,
  );
}

/** @returns the path from the folder, or undefined when it does not lie below it */
function pathBelow(folder: string, path: string): string | undefined {
  const inside = relative(folder, path);
  return inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside) ? undefined : inside;
}

/**
 * Opens first and then asks where what is open lies: a link put into the way in between is seen.
 * @returns undefined when it does not lie below the folder
 */
async function openBelow(root: string, path: string): Promise<FileHandle | undefined> {
  const target = await realpath(join(root, path));
  if (pathBelow(root, target) === undefined) return undefined;
  // Opening a FIFO without O_NONBLOCK would wait for a writer. Windows has neither flag.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const file = await open(target, flags);
  try {
    if ((await file.stat()).isFile() && (await liesBelow(file, target, root))) return file;
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

/**
 * Linux knows the path of what is open. Elsewhere the path is followed again and must lead to the same file, which leaves a gap for
 * someone who may change folders below the media folder and does so twice at the right moment.
 */
async function liesBelow(file: FileHandle, target: string, root: string): Promise<boolean> {
  if (process.platform === 'linux') return pathBelow(root, await readlink(`/proc/self/fd/${file.fd}`)) !== undefined;
  const [opened, found, now] = await Promise.all([
    file.stat({ bigint: true }),
    lstat(target, { bigint: true }),
    realpath(target),
  ]);
  return opened.dev === found.dev && opened.ino === found.ino && now === target;
}

/** As many bytes as the file had when it was opened. @returns undefined when it has become shorter */
async function readWhole(file: FileHandle, limit: ByteLimit, signal?: AbortSignal): Promise<Uint8Array | undefined> {
  const { size } = await file.stat();
  if (size > limit.maxBytes) throw tooLarge(limit, size);
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let done = 0; done < size;) {
    if (signal?.aborted) throw cancelled();
    const { bytesRead } = await file.read(bytes, done, Math.min(readLength, size - done), done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return bytes;
}
