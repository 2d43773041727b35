import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { readScoringTokens } from '../../src/rerank/scoring-tokens-node.ts';

let root: string;
let dir: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'wgrank-scoring-')));
  dir = join(root, 'model');
  await mkdir(dir);
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const scoreFile = '1_LogitScore/config.json';

async function put(name: string, content: unknown): Promise<void> {
  const path = join(dir, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
}

const putVocabulary = (vocab: unknown) => put('tokenizer.json', { version: '1.0', model: { type: 'BPE', vocab } });
const read = (architecture = 'Qwen3ForCausalLM') => readScoringTokens(dir, architecture);

describe('where the tokens are found', () => {
  it('1_LogitScore/config.json wins over the vocabulary, for any architecture', async () => {
    await put(scoreFile, { true_token_id: 17, false_token_id: 5 });
    await putVocabulary({ yes: 1, no: 2 });
    expect(await read()).toEqual({ yes: 17, no: 5 });
    expect(await read('GemmaForCausalLM')).toEqual({ yes: 17, no: 5 });
  });

  it.each([{ true_token_id: 0, false_token_id: null }, { true_token_id: 0 }])('%j: one token’s logit', async (json) => {
    await put(scoreFile, json);
    expect(await read()).toEqual({ yes: 0 });
  });

  it('then the vocabulary, by the words that the family answers with', async () => {
    await putVocabulary({ yes: 7, Yes: 8, no: 0, Ġyes: 9, 1: 16, 0: 15 });
    expect(await read()).toEqual({ yes: 7, no: 0 });
    expect(await read('Qwen2ForCausalLM')).toEqual({ yes: 16, no: 15 });
  });

  it.each<[string, unknown]>([
    ['no tokenizer.json', undefined],
    ['a vocabulary without the words', { Yes: 8, No: 9 }],
    ['a vocabulary with one of them', { yes: 8 }],
    ['a list, as Unigram models have', [['yes', 0]]],
  ])('then Qwen3’s own ids: %s', async (_, vocab) => {
    if (vocab !== undefined) await putVocabulary(vocab);
    expect(await read()).toEqual({ yes: 9693, no: 2152 });
  });

  it('a tokenizer.json without a model has no words', async () => {
    for (const json of ['{}', 'null', '[]', '{"model":null}', '{"model":{"vocab":7}}']) {
      await put('tokenizer.json', json);
      expect(await read()).toEqual({ yes: 9693, no: 2152 });
    }
  });
});

async function failure(architecture?: string): Promise<WgrankError> {
  const error = await read(architecture).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WgrankError);
  return error as WgrankError;
}

describe('refused by name', () => {
  it.each<[string, string, string]>([
    ['no id', '{}', 'lacks true_token_id (a whole number from 0 to 1073741824)'],
    ['a negative id', '{"true_token_id":-1}', 'true_token_id is -1 (a whole number'],
    ['a fraction', '{"true_token_id":1.5}', 'true_token_id is 1.5 (a whole number'],
    ['a word', '{"true_token_id":1,"false_token_id":"no"}', 'false_token_id is "no" (a whole number'],
    ['a list', '[9693]', '1_LogitScore/config.json is [9693] (an object)'],
    ['broken JSON', '{"true_token_id":', '1_LogitScore/config.json: '],
  ])('1_LogitScore/config.json with %s', async (_, text, message) => {
    await put(scoreFile, text);
    await putVocabulary({ yes: 1, no: 2 });
    const { code, message: said } = await failure();
    expect(code).toBe('config-invalid');
    expect(said).toContain(message);
  });

  it('a file in the place of the folder is no score file', async () => {
    await put('1_LogitScore', 'a file');
    expect(await read()).toEqual({ yes: 9693, no: 2152 });
  });

  it('a folder in the place of the file', async () => {
    await mkdir(join(dir, scoreFile), { recursive: true });
    const message = `[model folder] "${scoreFile}" is no regular file`;
    expect(await failure()).toMatchObject({ code: 'checkpoint-invalid', message });
  });

  it('a malformed tokenizer.json', async () => {
    await put('tokenizer.json', '{"model":{"vocab":{"yes":1');
    const { code, message } = await failure();
    expect([code, message]).toEqual(['tokenizer-invalid', '[tokenizer.json] malformed JSON']);
  });

  it.each([['"7"'], ['-1'], ['1.5'], ['null'], ['[7]'], ['1e300']])('%s as an id', async (id) => {
    await put('tokenizer.json', `{"model":{"vocab":{"yes":${id},"no":2}}}`);
    const { code, message } = await failure();
    expect(code).toBe('tokenizer-invalid');
    expect(message).toMatch(/^\[tokenizer.json\] the id of "yes" is .+ \(a whole number\)$/);
  });

  it('a Qwen2 without its words: nobody published ids to fall back on', async () => {
    const absent = 'tokenizer.json has no token "1", which Qwen2ForCausalLM is scored by';
    expect(await failure('Qwen2ForCausalLM')).toMatchObject({
      code: 'tokenizer-invalid',
      message: `[scoring] ${absent}`,
    });
    await putVocabulary({ 1: 16 });
    expect((await failure('Qwen2ForCausalLM')).message).toContain('has no token "0"');
    // A list has keys "0" and "1" too.
    await putVocabulary([
      ['a', 0],
      ['b', 0],
    ]);
    expect((await failure('Qwen2ForCausalLM')).message).toContain('has no token "1"');
  });

  it('an architecture of which nothing is known', async () => {
    const message = '[scoring] no 1_LogitScore/config.json names the tokens of GemmaForCausalLM';
    expect(await failure('GemmaForCausalLM')).toMatchObject({ code: 'config-invalid', message });
  });

  it('a folder that does not exist', async () => {
    await expect(readScoringTokens(join(root, 'nowhere'), 'Qwen3ForCausalLM')).rejects.toMatchObject({
      code: 'checkpoint-missing',
    });
  });
});

describe('links', () => {
  const json = JSON.stringify({ true_token_id: 3, false_token_id: 4 });

  it.each([
    ['the file', scoreFile, 'score.json'],
    ['its folder', '1_LogitScore', ''],
    ['tokenizer.json', 'tokenizer.json', 'score.json'],
  ])('%s may not lead out of the model’s folder', async (_, link, target) => {
    await mkdir(join(root, 'outside'));
    for (const name of ['score.json', 'config.json']) await writeFile(join(root, 'outside', name), json);
    await mkdir(dirname(join(dir, link)), { recursive: true });
    await symlink(join(root, 'outside', target), join(dir, link));
    const { code, message } = await failure();
    expect(code).toBe('checkpoint-invalid');
    expect(message).toContain('files of a model must lie in its folder, or in the blobs of the same hub cache entry');
  });

  it('inside the folder are followed', async () => {
    await put('scores.json', json);
    await mkdir(join(dir, '1_LogitScore'));
    await symlink('../scores.json', join(dir, scoreFile));
    expect(await read()).toEqual({ yes: 3, no: 4 });
  });

  it('to the blobs of a hub cache are followed from a folder of the snapshot', async () => {
    const entry = join(root, 'hub', 'models--Qwen--Qwen3-Reranker-0.6B');
    dir = join(entry, 'snapshots', 'a'.repeat(40));
    await mkdir(join(entry, 'blobs'), { recursive: true });
    await mkdir(join(dir, '1_LogitScore'), { recursive: true });
    await writeFile(join(entry, 'blobs', 'f00d'), json);
    await symlink('../../../blobs/f00d', join(dir, scoreFile));
    expect(await read()).toEqual({ yes: 3, no: 4 });
    // Another entry's blobs are not its own.
    await mkdir(join(root, 'hub', 'models--other', 'blobs'), { recursive: true });
    await writeFile(join(root, 'hub', 'models--other', 'blobs', 'f00d'), json);
    await rm(join(dir, scoreFile));
    await symlink('../../../../models--other/blobs/f00d', join(dir, scoreFile));
    expect((await failure()).code).toBe('checkpoint-invalid');
  });
});
