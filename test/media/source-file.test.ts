import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { WgrankError } from '../../src/errors.ts';
import { createSourceReader, type SourceReader } from '../../src/media/read-source-node.ts';

const folder = mkdtempSync(join(tmpdir(), 'wgrank-media-'));
const root = join(folder, 'root');
const outside = join(folder, 'root-beside');
let reader: SourceReader;

beforeAll(() => {
  mkdirSync(join(root, 'deep/er'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(root, 'cat.png'), 'cat');
  writeFileSync(join(root, 'deep/er/a cat, 50%2e.png'), 'deep');
  writeFileSync(join(root, 'noextension'), 'plain');
  writeFileSync(join(root, 'a'.repeat(40)), 'long');
  writeFileSync(join(root, 'empty.png'), '');
  writeFileSync(join(outside, 'secret.png'), 'secret');
  symlinkSync(join(outside, 'secret.png'), join(root, 'link-out.png'));
  symlinkSync(join(outside, 'absent.png'), join(root, 'link-nowhere.png'));
  symlinkSync(outside, join(root, 'folder-out'));
  symlinkSync('../cat.png', join(root, 'deep/link-in.png'));
  symlinkSync('loop.png', join(root, 'loop.png'));
  symlinkSync('/proc/self', join(root, 'proc'));
  symlinkSync('/dev', join(root, 'dev'));
  symlinkSync(root, join(folder, 'other-name'));
  execFileSync('mkfifo', [join(root, 'pipe.png')]);
  reader = createSourceReader({ mediaRoot: root });
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = async (url: string, from = reader): Promise<string> =>
  Buffer.from(await from.read(url, 'image')).toString('utf8');

/** What a caller sees of a refusal. */
async function refusal(url: string, from = reader): Promise<{ code: string; message: string }> {
  const error = await from.read(url, 'image').catch((error: unknown) => error);
  if (!(error instanceof WgrankError)) throw new Error(`read ${url}: ${String(error)}`);
  return { code: error.code, message: error.message };
}

describe('below the folder', () => {
  test.each([
    ['cat.png', 'cat'],
    ['./cat.png', 'cat'],
    ['deep//er/./a cat, 50%2e.png', 'deep'],
    ['noextension', 'plain'],
    [`./${'a'.repeat(40)}`, 'long'],
    ['deep/link-in.png', 'cat'],
    [join(root, 'cat.png'), 'cat'],
  ])('%s', async (url, text) => {
    expect(await read(url)).toBe(text);
  });

  test('under another name of the folder', async () => {
    const other = createSourceReader({ mediaRoot: join(folder, 'other-name') });
    for (const url of ['cat.png', join(root, 'cat.png'), join(folder, 'other-name/cat.png')])
      expect(await read(url, other)).toBe('cat');
  });

  test('an empty file is named', async () => {
    expect(await refusal('empty.png')).toEqual({ code: 'media-invalid', message: '[media] the picture has 0 bytes' });
  });

  test.each([
    [3, 'cat'],
    [2, '[media] the picture has 3 bytes (at most 2: --max-image-bytes)'],
  ])('with a limit of %i bytes', async (image, answer) => {
    const small = createSourceReader({ mediaRoot: root, maxBytes: { image } });
    expect(await read('cat.png', small).catch((error: Error) => error.message)).toBe(answer);
  });

  test('a sparse terabyte is refused unread', async () => {
    writeFileSync(join(root, 'huge.mp4'), '');
    truncateSync(join(root, 'huge.mp4'), 2 ** 40);
    await expect(reader.read('huge.mp4', 'video')).rejects.toMatchObject({ code: 'media-too-large' });
  });

  test('a caller who has given up', async () => {
    await expect(reader.read('cat.png', 'image', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('elsewhere', () => {
  test.each([
    '../root-beside/secret.png',
    'deep/../../root-beside/secret.png',
    'deep/../cat.png',
    '..',
    '/etc/passwd',
    '/proc/self/environ',
    '/dev/zero',
    '/',
    join(outside, 'secret.png'),
    join(outside, 'absent.png'),
    `${root}-beside/secret.png`,
    root,
    `${root}/`,
    `${root}/../root-beside/secret.png`,
    pathToFileURL(join(root, 'cat.png')).href,
    'file:cat.png',
    'FILE:///etc/passwd',
    'file://localhost/etc/passwd',
    'cat.png\0.jpg',
    'cat\n.png',
    'deep\\cat.png',
    '\\\\host\\share\\cat.png',
    '//host/share/cat.png',
    'C:/cat.png',
    ' cat.png',
    `./${'a/'.repeat(1100)}cat.png`,
  ])('%j is refused', async (url) => {
    const { code, message } = await refusal(url);
    expect(code).toBe('media-refused');
    expect(message).not.toContain(folder);
  });

  test.each([
    'absent.png',
    'absent/cat.png',
    'cat.png/cat.png',
    'link-out.png',
    'link-nowhere.png',
    'folder-out',
    'folder-out/secret.png',
    'folder-out/absent.png',
    'loop.png',
    'deep',
    '.',
    'pipe.png',
    'proc/environ',
    'proc/fd/0',
    'dev/zero',
    'dev/absent',
    '%2e%2e/root-beside/secret.png',
    '..%2froot-beside/secret.png',
    '．．/root-beside/secret.png',
    `./${'a'.repeat(300)}.png`,
  ])('%s answers as a file that is not there', async (url) => {
    const shown = JSON.stringify(url.slice(0, 100));
    expect(await refusal(url)).toEqual({
      code: 'media-unavailable',
      message: `[media] no file ${shown} can be read (a regular file below the folder of --media-root, links included)`,
    });
  });

  test('no file at all without the option', async () => {
    const closed = createSourceReader();
    for (const url of ['cat.png', 'absent.png', '/etc/passwd', join(root, 'cat.png'), '../cat.png', 'noextension'])
      expect(await refusal(url, closed)).toEqual({
        code: 'media-refused',
        message:
          '[media] paths are not read here, and this is no data: URI, URL or base64 (--media-root names a folder)',
      });
    expect((await refusal('file:///etc/passwd', closed)).message).toContain('--media-root');
  });

  test.each(['absent', 'cat.png', ''])('a media folder %j is refused at once', (name) => {
    expect(() => createSourceReader({ mediaRoot: name === '' ? name : join(root, name) })).toThrow(
      expect.objectContaining({ code: 'launch-refused' }),
    );
  });

  // Root may read everything.
  test.skipIf(process.getuid?.() === 0)('what may not be read answers as a file that is not there', async () => {
    writeFileSync(join(root, 'locked.png'), 'locked');
    chmodSync(join(root, 'locked.png'), 0);
    expect((await refusal('locked.png')).code).toBe('media-unavailable');
  });
});

// Elsewhere the system does not say where an open file lies.
test.runIf(process.platform === 'linux')('a link that comes and goes in the way is never followed', async () => {
  const way = join(root, 'way');
  mkdirSync(way);
  writeFileSync(join(way, 'secret.png'), 'inside');
  symlinkSync(outside, join(root, 'way-out'));
  const found = new Map<string, number>();
  const swapping = new AbortController();
  const swap = async (): Promise<void> => {
    while (!swapping.signal.aborted) {
      renameSync(way, join(root, 'way-kept'));
      renameSync(join(root, 'way-out'), way);
      await new Promise(setImmediate);
      renameSync(way, join(root, 'way-out'));
      renameSync(join(root, 'way-kept'), way);
      await new Promise(setImmediate);
    }
  };
  const swapped = swap();
  for (let round = 0; round < 400; round += 1) {
    const texts = await Promise.all(Array.from({ length: 8 }, () => read('way/secret.png').catch(({ code }) => code)));
    for (const text of texts as string[]) found.set(text, (found.get(text) ?? 0) + 1);
  }
  swapping.abort();
  await swapped;
  // Both answers occur, so the swaps fell into the reads.
  expect([...found.keys()].toSorted()).toEqual(['inside', 'media-unavailable']);
});
