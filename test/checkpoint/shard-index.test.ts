import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { buildSafetensors } from './build-safetensors.ts';
import { a, b, countOpenFiles, goodMap, indexName, useTemporaryModel, writeShards } from './temporary-model.ts';

const place = useTemporaryModel();

describe('shards', () => {
  it('reads tensors from their files', async () => {
    await writeShards(place.dir, goodMap);
    const checkpoint = await openCheckpoint(place.dir);
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b', 'ids']);
    const into = new Uint8Array(6);
    await checkpoint.read('b', 4, into);
    expect(into).toEqual(b.data.slice(4));
    await checkpoint.close();
  });

  it('names all missing files at once', async () => {
    await writeShards(place.dir, {
      ...goodMap,
      c: 'model-00003-of-00004.safetensors',
      d: 'model-00004-of-00004.safetensors',
    });
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({
      code: 'checkpoint-missing',
      message: expect.stringContaining(
        'lacks model-00003-of-00004.safetensors, model-00004-of-00004.safetensors, which',
      ),
    });
  });

  it('cuts a long list of missing files', async () => {
    const names = Array.from({ length: 1000 }, (_, i) => [`t${i}`, `s${i}.safetensors`]);
    await writeFile(join(place.dir, indexName), JSON.stringify({ weight_map: Object.fromEntries(names) }));
    await expect(openCheckpoint(place.dir)).rejects.toThrow(/s19\.safetensors, … \(1000 files\)/);
  });

  it.each([
    [
      'a tensor that its shard lacks',
      { ...goodMap, b: goodMap.a },
      /tensor "b" is mapped to model-00001-of-00002\.safetensors, which does not hold it/,
    ],
    [
      'a tensor that is not mapped',
      { a: goodMap.a, b: goodMap.b },
      /model-00002-of-00002\.safetensors holds tensor "ids", but weight_map lacks it/,
    ],
  ])('refuses %s, and closes its files', async (_, map, message) => {
    await writeShards(place.dir, map);
    const before = await countOpenFiles();
    await expect(openCheckpoint(place.dir)).rejects.toThrow(message);
    expect(await countOpenFiles()).toBe(before);
  });

  it('refuses a tensor that lies in two shards', async () => {
    await writeShards(place.dir, goodMap);
    await writeFile(join(place.dir, 'model-00001-of-00002.safetensors'), buildSafetensors({ a, b }));
    await expect(openCheckpoint(place.dir)).rejects.toThrow(
      /model-00001-of-00002\.safetensors holds tensor "b", but weight_map says model-00002/,
    );
  });

  it('closes the good shards when a later one is bad', async () => {
    await writeShards(place.dir, goodMap);
    await truncate(join(place.dir, 'model-00002-of-00002.safetensors'), 100);
    const before = await countOpenFiles();
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({ code: 'checkpoint-invalid' });
    expect(await countOpenFiles()).toBe(before);
  });

  const hostile = [
    '../outside.safetensors',
    '../../outside.safetensors',
    '/etc/outside.safetensors',
    './model.safetensors',
    'sub/x.safetensors',
    '..\\outside.safetensors',
    'C:\\x.safetensors',
    'C:x.safetensors',
    '\\\\host\\share\\x.safetensors',
    'x.safetensors\u0000.txt',
    'x\u0000.safetensors',
    '..',
    '.',
    '',
    'x.bin',
    'config.json',
    'x.safetensors/',
    '/',
    'x.SAFETENSORS',
    'é.safetensors',
    '․․/x.safetensors',
    '%2e%2e%2fx.safetensors',
    'file:///x.safetensors',
    '~/x.safetensors',
    '$HOME.safetensors',
    'a b.safetensors',
    'x.safetensors\n',
    '\nx.safetensors',
    'ｘ.safetensors',
    'CON:.safetensors',
  ];
  it.each(hostile)('refuses the shard name %j without touching it', async (name) => {
    await writeFile(join(place.root, 'outside.safetensors'), buildSafetensors({ a }));
    await writeFile(join(place.dir, indexName), JSON.stringify({ weight_map: { a: name } }));
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({
      code: 'checkpoint-invalid',
      message: expect.stringContaining('tensor "a" is mapped to '),
    });
  });

  it.each([
    ['{}', /weight_map is missing/],
    ['{"weight_map":{}}', /weight_map is empty/],
    ['{"weight_map":[]}', /expected an object as weight_map, found an array/],
    ['{"weight_map":{"a":1}}', /expected a file name in weight_map, found a number/],
    ['{"weight_map":{"a":"x.safetensors","a":"x.safetensors"}}', /the tensor "a" occurs twice in weight_map/],
    ['{"weight_map":{"a":"x.safetensors"},"weight_map":{}}', /the key "weight_map" occurs twice/],
    [`{"metadata":${'['.repeat(1000)}`, /nested deeper than 64 levels/],
    ['{"weight_map":{"a":"x.safetensors"}', /expected ',' or '}', found the end of the text/],
    ['', /expected an object, found the end of the text/],
  ])('refuses the index %s', async (text, message) => {
    await writeFile(join(place.dir, indexName), text);
    await expect(openCheckpoint(place.dir)).rejects.toMatchObject({
      code: 'checkpoint-invalid',
      message: expect.stringMatching(message),
    });
  });
});
