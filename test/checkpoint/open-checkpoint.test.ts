import { execFileSync } from 'node:child_process';
import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { openModelFolder } from '../../src/checkpoint/model-file-node.ts';
import { readJsonFile, readModelFile } from '../../src/checkpoint/read-json-node.ts';
import { buildSafetensors, frameHeader } from './build-safetensors.ts';
import { a, b, countOpenFiles, goodMap, ids, indexName, useTemporaryModel, writeShards } from './temporary-model.ts';

const place = useTemporaryModel();

describe('one file', () => {
  it('lists tensors and reads ranges, several at once', async () => {
    await writeFile(join(place.dir, 'model.safetensors'), buildSafetensors({ b, a, ids }));
    const checkpoint = await openCheckpoint(place.dir);
    expect(
      [...checkpoint.tensors.values()].map(({ name, dtype, shape, byteLength }) => [name, dtype, shape, byteLength]),
    ).toEqual([
      ['b', 'BF16', [5], 10],
      ['a', 'F32', [2, 3], 24],
      ['ids', 'I64', [1, 2], 16],
    ]);
    const parts = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const into = new Uint8Array(24 - i);
        await checkpoint.read('a', i, into);
        return into;
      }),
    );
    parts.forEach((part, i) => expect(part).toEqual(a.data.slice(i)));
    await checkpoint.read('a', 24, new Uint8Array(0));
    await checkpoint.close();
    await checkpoint.close();
  });

  it('refuses reads that make no sense', async () => {
    await writeFile(join(place.dir, 'model.safetensors'), buildSafetensors({ a, ids }));
    const checkpoint = await openCheckpoint(place.dir);
    const read = (name: string, begin: number, length: number) => checkpoint.read(name, begin, new Uint8Array(length));
    await expect(read('c', 0, 1)).rejects.toMatchObject({
      code: 'tensor-missing',
      message: '[safetensors] no tensor "c"',
    });
    await expect(read('ids', 0, 8)).rejects.toMatchObject({
      code: 'tensor-shape',
      message: expect.stringContaining('"ids" is I64'),
    });
    for (const [begin, length] of [
      [-1, 1],
      [0, 25],
      [24, 1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const) {
      await expect(read('a', begin, length)).rejects.toMatchObject({ code: 'tensor-shape' });
    }
    await checkpoint.close();
    await expect(read('a', 0, 1)).rejects.toMatchObject({ code: 'engine-stopped' });
  });

  it('names a file that shrinks after it was opened', async () => {
    const file = join(place.dir, 'model.safetensors');
    const content = buildSafetensors({ a });
    await writeFile(file, content);
    const checkpoint = await openCheckpoint(place.dir);
    await truncate(file, content.length - 10);
    await checkpoint.read('a', 0, new Uint8Array(14));
    await expect(checkpoint.read('a', 4, new Uint8Array(20))).rejects.toMatchObject({
      code: 'checkpoint-invalid',
      message: expect.stringMatching(
        /model\.safetensors" ends 10 bytes before the end of tensor "a"'s bytes \[4, 24\)/,
      ),
    });
    await checkpoint.close();
  });

  it('closes the file when its header is bad', async () => {
    await writeFile(join(place.dir, 'model.safetensors'), frameHeader('{"a":1}'));
    const before = await countOpenFiles();
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({ code: 'checkpoint-invalid' });
    expect(await countOpenFiles()).toBe(before);
  });

  it('is preferred to shards, as transformers does', async () => {
    await writeShards(place.dir, goodMap);
    await writeFile(join(place.dir, 'model.safetensors'), buildSafetensors({ only: b }));
    const checkpoint = await openCheckpoint(place.dir);
    expect([...checkpoint.tensors.keys()]).toEqual(['only']);
    await checkpoint.close();
  });
});

describe('links', () => {
  it('follows the links of a hub cache snapshot to its blobs', async () => {
    const entry = join(place.root, 'hub', 'models--org--name');
    const snapshot = join(entry, 'snapshots', '0'.repeat(40));
    await mkdir(join(entry, 'blobs'), { recursive: true });
    await mkdir(snapshot, { recursive: true });
    await writeFile(join(entry, 'blobs', 'abc'), buildSafetensors({ a }));
    await writeFile(join(entry, 'blobs', 'def'), '{"hidden_size": 8}');
    await symlink('../../blobs/abc', join(snapshot, 'model.safetensors'));
    await symlink('../../blobs/def', join(snapshot, 'config.json'));
    // Also when the folder itself is reached by a link.
    await symlink(snapshot, join(place.root, 'alias'));
    for (const path of [snapshot, join(place.root, 'alias')]) {
      const checkpoint = await openCheckpoint(path);
      expect(checkpoint.tensors.size).toBe(1);
      await checkpoint.close();
      expect(await readJsonFile(await openModelFolder(path), 'config.json')).toEqual(new Map([['hidden_size', 8]]));
    }
    // Another repository's blobs are outside.
    const other = join(place.root, 'hub', 'models--org--other', 'snapshots', '1'.repeat(40));
    await mkdir(other, { recursive: true });
    await symlink('../../../models--org--name/blobs/abc', join(other, 'model.safetensors'));
    await expect(openCheckpoint(other)).rejects.toMatchObject({ code: 'checkpoint-invalid' });
  });

  it('refuses links that leave the folder, for every kind of file', async () => {
    await writeFile(join(place.root, 'outside'), buildSafetensors({ a }));
    const shard = 'model-00001-of-00001.safetensors';
    await symlink('../outside', join(place.dir, shard));
    await writeFile(join(place.dir, indexName), JSON.stringify({ weight_map: { a: shard } }));
    const outside = {
      code: 'checkpoint-invalid',
      message: expect.stringContaining('files of a model must lie in its folder'),
    };
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject(outside);
    await symlink('../outside', join(place.dir, 'model.safetensors'));
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject(outside);
    await symlink('../outside', join(place.dir, 'config.json'));
    await expect(readJsonFile(await openModelFolder(place.dir), 'config.json')).rejects.toMatchObject(outside);
  });

  it('allows links inside the folder, and names loops and dangling ones', async () => {
    await mkdir(join(place.dir, 'data'));
    await writeFile(join(place.dir, 'data', 'weights'), buildSafetensors({ a }));
    await symlink('data/weights', join(place.dir, 'model.safetensors'));
    await (await openCheckpoint(place.dir)).close();
    await rm(join(place.dir, 'data', 'weights'));
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({ code: 'checkpoint-missing' });
    await rm(join(place.dir, 'model.safetensors'));
    await symlink('model.safetensors', join(place.dir, 'model.safetensors'));
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({
      code: 'checkpoint-invalid',
      message: expect.stringContaining('ELOOP'),
    });
  });
});

describe('folders without usable weights', () => {
  it('says how to convert pytorch_model.bin', async () => {
    await writeFile(join(place.dir, 'pytorch_model.bin'), 'PK');
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({
      code: 'checkpoint-missing',
      message: expect.stringMatching(/it has pytorch_model\.bin: convert it once .* safe_serialization=True/),
    });
  });

  it('names what is there instead', async () => {
    await writeFile(join(place.dir, 'model-q4.gguf'), '');
    await expect(openCheckpoint(place.dir)).rejects.toThrow(/it has "model-q4\.gguf"; the model path must be a folder/);
  });

  it.each([
    ['missing', 'nowhere'],
    ['with a NUL', 'a\0b'],
  ])('names a folder %s', async (_, name) => {
    await expect(openCheckpoint(join(place.root, name))).rejects.toMatchObject({ code: 'checkpoint-missing' });
  });

  it('refuses folders and pipes in place of the file, without waiting', async () => {
    await mkdir(join(place.dir, 'model.safetensors'));
    await expect(openCheckpoint(place.dir)).rejects.toThrow(/no regular file/);
    await rm(join(place.dir, 'model.safetensors'), { recursive: true });
    if (process.platform === 'win32') return;
    execFileSync('mkfifo', [join(place.dir, 'model.safetensors')]);
    await expect(openCheckpoint(place.dir)).rejects.toThrow(/no regular file/);
  });
});

describe('small files', () => {
  it.each([
    [
      'an oversized file',
      ' '.repeat(10_000_001),
      'config-invalid',
      /config\.json has 10000001 bytes \(at most 10000000\)/,
    ],
    ['duplicate keys', '{"a":1,"a":2}', 'config-invalid', /config\.json: the key "a" occurs twice/],
    ['deep nesting', '[{"a":'.repeat(40), 'config-invalid', /nested deeper than 64 levels/],
    ['NaN', '{"a":NaN}', 'config-invalid', /expected the value of "a", found 'N'/],
    ['1e400', '{"a":1e400}', 'config-invalid', /the value of "a" is "1e400" \(a finite JSON number\)/],
    ['a byte order mark', '\ufeff{}', 'config-invalid', /expected a value, found byte 0xef/],
  ])('names %s', async (_, text, code, message) => {
    await writeFile(join(place.dir, 'config.json'), text);
    await expect(readJsonFile(await openModelFolder(place.dir), 'config.json')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('names a missing file', async () => {
    await expect(readJsonFile(await openModelFolder(place.dir), 'config.json')).rejects.toMatchObject({
      code: 'checkpoint-missing',
      message: expect.stringMatching(/has no config\.json$/),
    });
  });

  it.each(['../model/config.json', '/etc/passwd', 'a\0', '..', '.', ''])(
    'takes only plain file names, not %j',
    async (name) => {
      const folder = await openModelFolder(place.dir);
      await expect(readModelFile(folder, name, 100, 'config-invalid')).rejects.toMatchObject({
        code: 'checkpoint-invalid',
      });
    },
  );
});
