import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hubCacheFolder, resolveModel } from '../../src/hub/resolve-model-node.ts';

const sha = '0123456789abcdef0123456789abcdef01234567';
const other = 'f'.repeat(40);

let root: string;
let cache: string;
let embeddedRoot: string;
let env: Record<string, string>;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'wgrank-hub-')));
  cache = join(root, 'hub');
  embeddedRoot = join(root, 'weights');
  env = { HOME: root, HF_HUB_CACHE: cache };
  await mkdir(join(embeddedRoot, 'tiny-bge-reranker'), { recursive: true });
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function putSnapshot(repository: string, commit: string, ref?: string): Promise<string> {
  const entry = join(cache, `models--${repository.replace('/', '--')}`);
  const snapshot = join(entry, 'snapshots', commit);
  await mkdir(snapshot, { recursive: true });
  await writeFile(join(snapshot, 'config.json'), '{}');
  if (ref !== undefined) {
    const path = join(entry, 'refs', ...ref.split('/'));
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, commit);
  }
  return snapshot;
}

function resolve(id: string) {
  return resolveModel(id, { embeddedRoot, env });
}

describe('what is found', () => {
  it('a folder, by any path', async () => {
    const dir = join(root, 'BAAI', 'model');
    await mkdir(dir, { recursive: true });
    expect(await resolve(dir)).toEqual({ dir, source: 'folder' });
    expect(await resolve(`${dir}/../model`)).toEqual({ dir: `${dir}/../model`, source: 'folder' });
  });

  it('an embedded model by its name', async () => {
    expect(await resolve('tiny-bge-reranker')).toEqual({
      dir: join(embeddedRoot, 'tiny-bge-reranker'),
      source: 'embedded',
    });
  });

  it('a hub id in the cache, at main, a branch, a pull request or a commit', async () => {
    const main = await putSnapshot('BAAI/bge-reranker-v2-m3', sha, 'main');
    const branch = await putSnapshot('BAAI/bge-reranker-v2-m3', other, 'refs/pr/1');
    expect(await resolve('BAAI/bge-reranker-v2-m3')).toEqual({ dir: main, source: 'cache' });
    expect(await resolve(`BAAI/bge-reranker-v2-m3@${sha}`)).toEqual({ dir: main, source: 'cache' });
    expect(await resolve('BAAI/bge-reranker-v2-m3@refs/pr/1')).toEqual({ dir: branch, source: 'cache' });
  });

  it('a hub id without an organisation', async () => {
    const dir = await putSnapshot('gpt2', sha, 'main');
    expect(await resolve('gpt2')).toEqual({ dir, source: 'cache' });
  });

  it('a folder before the cache', async () => {
    await putSnapshot('a/b', sha, 'main');
    const before = process.cwd();
    await mkdir(join(root, 'cwd', 'a', 'b'), { recursive: true });
    try {
      process.chdir(join(root, 'cwd'));
      expect(await resolve('a/b')).toEqual({ dir: 'a/b', source: 'folder' });
    } finally {
      process.chdir(before);
    }
  });
});

describe('where the cache is', () => {
  it.each([
    [{ HOME: '/h' }, '/h/.cache/huggingface/hub'],
    [{ HOME: '/h', XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ HOME: '/h', XDG_CACHE_HOME: '/x', HF_HOME: '/hf' }, '/hf/hub'],
    [{ HOME: '/h', HF_HOME: '~/hf' }, '/h/hf/hub'],
    [{ HOME: '/h', HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HOME: '/h', HF_HOME: '/hf', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/new' }, '/new'],
    [{ HOME: '/h', HF_HUB_CACHE: '~' }, '/h'],
    [{ HOME: '/h', HF_HUB_CACHE: '', HF_HOME: '' }, '/h/.cache/huggingface/hub'],
  ])('%j', (environment, expected) => {
    expect(hubCacheFolder(environment)).toBe(expected);
  });
});

describe('what is not found', () => {
  it('says what was looked for and every way that works', async () => {
    await mkdir(join(embeddedRoot, 'another-model'));
    const error = await resolve('BAAI/bge-reranker-v2-m3').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'model-not-found' });
    expect((error as Error).message).toBe(
      [
        `[model path] no model "BAAI/bge-reranker-v2-m3": no such folder; not in the hub cache ${cache}. What works:`,
        '  a folder:          --model-path /path/to/folder   (with config.json, tokenizer.json, model.safetensors)',
        '  a hub model:       hf download BAAI/bge-reranker-v2-m3   (then pass the id again: it is found in the local cache)',
        '  an embedded model: another-model, tiny-bge-reranker',
      ].join('\n'),
    );
  });

  it('names the revisions that are cached', async () => {
    await putSnapshot('a/b', sha);
    await expect(resolve('a/b')).rejects.toThrow(new RegExp(`has no revision main of it in .* \\(it has @${sha}\\)`));
    await expect(resolve('a/b@v2')).rejects.toThrow('hf download a/b --revision v2 ');
    await expect(resolve(`a/b@${other}`)).rejects.toThrow(`has no snapshot of revision ${other}`);
  });

  it('names an incomplete snapshot', async () => {
    await rm(join(await putSnapshot('a/b', sha, 'main'), 'config.json'));
    await expect(resolve('a/b')).rejects.toThrow(/incomplete: .* has no config\.json/);
  });

  it.each(['../../x', 'a/../../x', 'main\n../..', '', 'deadbeef', '0'.repeat(41)])(
    'refuses a ref file that says %j',
    async (content) => {
      await putSnapshot('a/b', sha, 'main');
      await writeFile(join(cache, 'models--a--b', 'refs', 'main'), content);
      await expect(resolve('a/b')).rejects.toMatchObject({ code: 'model-not-found' });
    },
  );

  it('says when the path is a file', async () => {
    await writeFile(join(root, 'model.safetensors'), '');
    await expect(resolve(join(root, 'model.safetensors'))).rejects.toThrow('it is a file, and a model is a folder');
  });

  it('says when nothing is embedded', async () => {
    await rm(embeddedRoot, { recursive: true });
    await expect(resolve('x/y')).rejects.toThrow(`an embedded model: none in ${embeddedRoot}`);
  });

  // Each would reach config.json of the planted folder if it were joined to the cache or to the embedded models unchecked.
  const tricks = [
    '',
    '\0',
    'a\0/b',
    'a/b\0',
    '..',
    '.',
    '../weights/x',
    'a/..',
    '../..',
    '/..',
    '//',
    'a//b',
    '/a/b',
    'a/b/',
    '/a',
    'a/b/c',
    './a/b',
    'a/./b',
    'a/b@../main',
    'a/b@./main',
    'a/b@..',
    'a/b@/main',
    'a/b@',
    'a/b@.',
    'a/b@a//b',
    'a--b',
    'a--b/c',
    'a/b--c',
    'a/b..',
    'a\\b',
    'a/b\\..',
    'C:\\x',
    '\\\\host\\x',
    'a/b ',
    ' a/b',
    'a/b\n',
    '-a/b',
    'a/-b',
    '.a/b',
    'a/.b',
    'а/b',
    'a/b@\0',
    'a/b@main@main',
    'hf://a/b',
    'https://huggingface.co/a/b',
    '%2e%2e/b',
    'a/%62',
    '~/a',
    '$HOME/b',
    `${'x'.repeat(97)}/b`,
    'x'.repeat(100_000),
    'tiny-bge-reranker/',
    'tiny-bge-reranker/../..',
    'Tiny-BGE-Reranker',
  ];
  it.each(tricks.map((trick) => [trick.slice(0, 60), trick]))('%j', async (_, trick) => {
    await putSnapshot('a/b', sha, 'main');
    await putSnapshot('a/b--c', sha, 'main');
    await putSnapshot('a/b..', sha, 'main');
    const nested = join(cache, 'models--a--b', 'c');
    await mkdir(join(nested, 'refs'), { recursive: true });
    await mkdir(join(nested, 'snapshots', sha), { recursive: true });
    await writeFile(join(nested, 'snapshots', sha, 'config.json'), '{}');
    await writeFile(join(nested, 'refs', 'main'), sha);
    await writeFile(join(cache, 'models--a--b', 'main'), sha);
    await mkdir(join(cache, 'models--..', 'snapshots', sha), { recursive: true });
    const before = process.cwd();
    await mkdir(join(root, 'empty', 'deep', 'cwd'), { recursive: true });
    try {
      process.chdir(join(root, 'empty', 'deep', 'cwd'));
      const found = await resolve(trick).catch((error: unknown) => error);
      // Paths that do name an existing folder are the operator's own business; none may come from the cache.
      if (found instanceof Error) expect(found).toMatchObject({ code: 'model-not-found' });
      else expect(found).toMatchObject({ source: 'folder' });
    } finally {
      process.chdir(before);
    }
  });
});
