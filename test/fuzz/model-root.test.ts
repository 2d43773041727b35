import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import fs, { copyFile, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { locateModelFile, openModelFolder } from '../../src/checkpoint/model-file-node.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { WgrankError } from '../../src/errors.ts';
import { resolveModel } from '../../src/hub/resolve-model-node.ts';
import { createRequestEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import { describeModel } from '../../src/rerank/describe-model-node.ts';
import { readModel } from '../../src/rerank/read-model-node.ts';
import { buildSafetensors } from '../checkpoint/build-safetensors.ts';
import { a, indexName } from '../checkpoint/temporary-model.ts';
import { watchOpens } from '../support/watch-opens.ts';
import { hostileNames } from './hostile-names.ts';

const weights = fileURLToPath(new URL('../../weights', import.meta.url));
const project = fileURLToPath(new URL('../..', import.meta.url));

let root: string;
/** A model folder, and beside it what no model may read. */
let dir: string;
let outside: string;
let secret: string;
let watch: ReturnType<typeof watchOpens>;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'wgrank-root-')));
  [dir, outside] = [join(root, 'model'), join(root, 'outside')];
  for (const folder of [dir, outside]) await mkdir(folder);
  secret = join(outside, 'secret.safetensors');
  for (const path of [secret, join(root, 'secret.safetensors')]) await writeFile(path, buildSafetensors({ a }));
  watch = watchOpens();
});
afterEach(async () => {
  watch.stop();
  await rm(root, { recursive: true });
});

/** The project's own sources are opened when a test needs them for the first time. */
const opensOutside = (inside = dir) =>
  watch.opened.filter((path) => path !== inside && !path.startsWith(`${inside}/`) && !path.startsWith(project));

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'read',
    (error: unknown) => (error instanceof WgrankError ? error.code : `no named error: ${String(error)}`),
  );

describe('files stay inside the model root', () => {
  test('the watch sees what is opened', async () => {
    await fs.readFile(secret);
    await (await fs.open(secret)).close();
    await readdir(outside);
    createReadStream(secret).destroy();
    await symlink(secret, join(dir, 'link'));
    await fs.readFile(join(dir, 'link'));
    expect(opensOutside()).toEqual([secret, secret, outside, secret, secret]);
  });

  test('200 names as a shard of the index: refused, and nothing is opened for them', async () => {
    const names = hostileNames(secret);
    expect(names.length).toBeGreaterThanOrEqual(200);
    for (const name of names) {
      await writeFile(join(dir, indexName), JSON.stringify({ weight_map: { a: name } }));
      expect([name, await codeOf(openCheckpoint(dir))]).toEqual([name, 'checkpoint-invalid']);
    }
    expect(opensOutside()).toEqual([]);
    expect(watch.opened).toHaveLength(names.length);
  });

  test('200 names as a file of the folder: no file, or refused', async () => {
    const folder = await openModelFolder(dir);
    for (const name of hostileNames(secret)) {
      const code = await codeOf(locateModelFile(folder, name).then((path) => expect(path).toBeUndefined()));
      expect(['read', 'checkpoint-invalid'], name).toContain(code);
    }
    expect(opensOutside()).toEqual([]);
  });

  test('200 names as a hub id or revision: nothing of the cache, and nothing beside it', async () => {
    const [cache, embeddedRoot] = [join(dir, 'hub'), join(dir, 'weights')];
    for (const folder of [join(cache, 'models--a--b', 'refs'), embeddedRoot]) await mkdir(folder, { recursive: true });
    for (const name of hostileNames(secret))
      for (const id of [name, `a/${name}`, `a/b@${name}`]) {
        const found = await resolveModel(id, { embeddedRoot, env: { HF_HUB_CACHE: cache } }).catch(
          (error: unknown) => error,
        );
        // A path that is there is the operator's own.
        if (found instanceof WgrankError) expect(found.code, id).toBe('model-not-found');
        else expect(found, id).toMatchObject({ source: 'folder' });
      }
    expect(opensOutside()).toEqual([]);
  });
});

const model = join(weights, 'tiny-qwen3-vl-reranker');
const options = { maxLength: 512, truncate: true, workers: 1 };

/** Everything that is read of a model folder. */
async function readAll(folder: string): Promise<void> {
  const { kind, architecture } = await describeModel(folder);
  await readModel({ modelDir: folder });
  await (await openCheckpoint(folder)).close();
  await (await createRequestEncoder({ ...options, kind, architecture, modelDir: folder })).close();
}

const files = [
  'config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'additional_chat_templates/reranker.jinja',
  '1_LogitScore/config.json',
  'processor_config.json',
  'preprocessor_config.json',
  'video_preprocessor_config.json',
];

async function copyModel(to: string): Promise<void> {
  for (const file of await readdir(model, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const folder = join(to, file.parentPath.slice(model.length));
    await mkdir(folder, { recursive: true });
    await copyFile(join(file.parentPath, file.name), join(folder, file.name));
  }
}

describe('links of a model folder', () => {
  test.each(files)('%s may not lead out, however it is linked', async (file) => {
    await copyModel(dir);
    const target = join(outside, 'file');
    // What would be read without complaint if the link were followed.
    await copyFile(join(model, file), target).catch(() => writeFile(target, '{}'));
    const link = join(dir, file);
    await mkdir(join(link, '..'), { recursive: true });
    await symlink(outside, join(dir, 'way'));
    const up = '../'.repeat(file.split('/').length);
    const fifo = join(root, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const to of [
      target,
      `${up}outside/file`,
      join(dir, 'way/file'),
      '/etc/passwd',
      '/dev/zero',
      '/proc/self/environ',
      fifo,
    ]) {
      await rm(link, { force: true });
      await symlink(to, link);
      watch.opened.length = 0;
      expect([to, await codeOf(readAll(dir))]).toEqual([to, 'checkpoint-invalid']);
      expect(opensOutside()).toEqual([]);
    }
  });

  test('a device, a pipe, a folder or a loop in the place of a file is a named error, and is not waited for', async () => {
    for (const file of files) {
      await rm(dir, { recursive: true });
      await copyModel(dir);
      const path = join(dir, file);
      await mkdir(join(path, '..'), { recursive: true });
      for (const put of [
        () => execFileSync('mkfifo', [path]),
        () => mkdir(path),
        () => symlink(file.split('/').at(-1)!, path),
      ]) {
        await rm(path, { recursive: true, force: true });
        await put();
        expect([file, await codeOf(readAll(dir))]).toEqual([
          file,
          expect.stringMatching(/^(checkpoint|config|tokenizer|template)-invalid$/),
        ]);
      }
    }
    expect(opensOutside()).toEqual([]);
  });

  test('a snapshot of the hub cache, all links to its blobs, is read', async () => {
    const entry = join(root, 'hub', 'models--wgrank--tiny');
    const snapshot = join(entry, 'snapshots', 'a'.repeat(40));
    await mkdir(join(entry, 'blobs'), { recursive: true });
    await mkdir(join(entry, 'refs'), { recursive: true });
    await writeFile(join(entry, 'refs', 'main'), 'a'.repeat(40));
    let blobs = 0;
    for (const file of files) {
      const blob = join(entry, 'blobs', String(blobs++));
      const copied = await copyFile(join(model, file), blob).then(
        () => true,
        () => false,
      );
      await mkdir(join(snapshot, file, '..'), { recursive: true });
      if (copied) await symlink(`${'../'.repeat(file.split('/').length + 1)}blobs/${blobs - 1}`, join(snapshot, file));
    }
    const found = await resolveModel('wgrank/tiny', { env: { HF_HUB_CACHE: join(root, 'hub') } });
    expect(found).toEqual({ dir: snapshot, source: 'cache' });
    watch.opened.length = 0;
    await readAll(snapshot);
    expect(opensOutside(entry)).toEqual([]);
  });
});
