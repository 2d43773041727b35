import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { PairEncoder } from '../../src/text/encoded-pair.ts';
import { createPairEncoder, type PairEncoderOptions } from '../../src/text/create-pair-encoder-node.ts';
import { embeddedModel, formText, tokenizerOf } from './forms.ts';

const modelDir = fileURLToPath(embeddedModel);
const tokenizer = tokenizerOf(formText('published'));
const query = 'What is a panda?';
const documents = Array.from(
  { length: 300 },
  (_, i) => `Document ${i}: the giant panda ${'eats bamboo '.repeat(i % 40)}`,
);
const folders: string[] = [];
let encoder: PairEncoder | undefined;

async function start(options: Partial<PairEncoderOptions> = {}): Promise<PairEncoder> {
  encoder = await createPairEncoder({ modelDir, maxLength: 512, truncate: true, workers: 2, ...options });
  return encoder;
}

function whole(asked: string, document: string): number[] {
  return [0, ...tokenizer.encode(asked), 2, 2, ...tokenizer.encode(document), 2];
}

function makeFolder(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'wgrank-text-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

function makeDirectoryNamed(name: string): string {
  const folder = makeFolder({});
  symlinkSync(tmpdir(), join(folder, name));
  return folder;
}

beforeEach(() => {
  encoder = undefined;
});
afterEach(() => encoder?.close());
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

describe('pairs', () => {
  test('come in the order of the documents, each as <s> query </s></s> document </s>', async () => {
    const pairs = await (await start()).encode(query, documents);
    expect(pairs.map(({ ids }) => [...ids])).toEqual(documents.map((document) => whole(query, document)));
    expect(pairs.every(({ ids, truncatedTokens }) => ids instanceof Int32Array && truncatedTokens === 0)).toBe(true);
  });

  test('of empty texts are special tokens only; no documents give no pairs', async () => {
    const { encode } = await start();
    expect((await encode('', ['', ' \u3000']))[1]).toEqual({ ids: Int32Array.of(0, 2, 2, 2), truncatedTokens: 0 });
    expect(await encode(query, [])).toEqual([]);
  });

  test('of many concurrent calls are not mixed up, with one worker or four', async () => {
    for (const workers of [1, 4]) {
      const { encode, close } = await createPairEncoder({ modelDir, maxLength: 512, truncate: true, workers });
      const calls = Array.from({ length: 40 }, (_, i) => ({
        asked: `query ${i}`,
        found: documents.slice(i, i + 1 + (i % 7) * 30),
      }));
      const answers = await Promise.all(calls.map(({ asked, found }) => encode(asked, found)));
      for (const [index, { asked, found }] of calls.entries())
        expect(answers[index]!.map(({ ids }) => [...ids])).toEqual(found.map((document) => whole(asked, document)));
      await close();
    }
  });

  test('a short call overtakes a long one', async () => {
    const { encode } = await start({ workers: 1 });
    const order: string[] = [];
    const long = encode(query, Array<string>(3000).fill(documents[39]!)).then(() => order.push('long'));
    await encode(query, ['a short one']).then(() => order.push('short'));
    await long;
    expect(order).toEqual(['short', 'long']);
  });
});

/** A text of so many tokens; a pair has 4 more. */
function text(tokens: number): string {
  return Array<string>(tokens).fill('panda').join(' ');
}

describe('limits', () => {
  test('the test text has one token per word', () => {
    expect([1, 7].map((tokens) => tokenizer.encode(text(tokens)).length)).toEqual([1, 7]);
  });

  test.each([31, 32, 33])('a pair of %i tokens under a limit of 32 is cut from the document', async (total) => {
    const [pair] = await (await start({ maxLength: 32 })).encode(text(5), [text(total - 9)]);
    expect(pair!.ids.length).toBe(Math.min(total, 32));
    expect(pair!.truncatedTokens).toBe(Math.max(0, total - 32));
    expect([...pair!.ids]).toEqual(whole(text(5), text(Math.min(total, 32) - 9)));
  });

  test('a query takes at most 3/4', async () => {
    const [pair] = await (await start({ maxLength: 32 })).encode(text(1000), [text(1000)]);
    expect([...pair!.ids]).toEqual(whole(text(24), text(4)));
    expect(pair!.truncatedTokens).toBe(1000 - 24 + 1000 - 4);
  });

  test.each([32, 33])('without truncation %i of 32 tokens are refused in the words of SGLang', async (total) => {
    const { encode } = await start({ maxLength: 32, truncate: false });
    const pairs = await encode(text(26), [text(1)]);
    expect(pairs.map(({ ids }) => ids.length)).toEqual([31]);
    await expect(encode(text(26), [text(1), text(total - 30)])).rejects.toMatchObject({
      code: 'input-too-long',
      message: `The input (${total} tokens) is longer than the model's context length (32 tokens).`,
    });
  });

  test.each([4, 0, -1, 5.5, Number.NaN])('a limit of %d tokens is refused', async (maxLength) => {
    await expect(start({ maxLength })).rejects.toMatchObject({ code: 'config-invalid' });
  });
});

describe('calls that end early', () => {
  test('an abort rejects at once and leaves other calls alone', async () => {
    const { encode } = await start({ workers: 1 });
    const controller = new AbortController();
    const aborted = encode(query, Array<string>(5000).fill(documents[39]!), { signal: controller.signal });
    const kept = encode(query, documents);
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
    expect((await kept).length).toBe(documents.length);
    await expect(encode(query, ['a'], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('after close every call is refused', async () => {
    const { encode, close } = await start();
    const pending = encode(query, documents).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    await close();
    await close();
    expect(await pending).toBe('engine-stopped');
    await expect(encode(query, ['a'])).rejects.toMatchObject({ code: 'engine-stopped' });
  });
});

describe('folders', () => {
  test.each<[string, () => string, RegExp]>([
    ['no tokenizer.json', () => makeFolder({}), /missing/],
    ['no folder', () => '/nonexistent/model', /missing/],
    ['a tokenizer.json that is a directory', () => makeDirectoryNamed('tokenizer.json'), /not a regular file/],
    ['a malformed tokenizer.json', () => makeFolder({ 'tokenizer.json': '{"model":' }), /at byte/],
    [
      'a malformed tokenizer_config.json',
      () => makeFolder({ 'tokenizer.json': formText('ties'), 'tokenizer_config.json': '{' }),
      /malformed/,
    ],
    [
      'a list as tokenizer_config.json',
      () => makeFolder({ 'tokenizer.json': formText('ties'), 'tokenizer_config.json': '[]' }),
      /not an object/,
    ],
  ])('%s: a named error crosses the thread', async (_, folder, message) => {
    await expect(start({ modelDir: folder() })).rejects.toMatchObject({
      code: 'tokenizer-invalid',
      name: 'WgrankError',
      message: expect.stringMatching(message) as string,
    });
  });

  test('special tokens are named by tokenizer_config.json when there is no post-processor', async () => {
    const file = JSON.parse(formText('published')) as Record<string, unknown>;
    const folder = makeFolder({
      'tokenizer.json': JSON.stringify({ ...file, post_processor: null }),
      'tokenizer_config.json': JSON.stringify({ cls_token: '<pad>' }),
      'special_tokens_map.json': JSON.stringify({ cls_token: '<s>', sep_token: { content: '</s>' } }),
    });
    const [pair] = await (await start({ modelDir: folder })).encode('', ['']);
    expect([...pair!.ids]).toEqual([1, 2, 2, 2]);
  });
});

test('the process ends after close', () => {
  const module = new URL('../../src/text/create-pair-encoder-node.ts', import.meta.url).href;
  const script = `const { createPairEncoder } = await import(${JSON.stringify(module)});
    const encoder = await createPairEncoder({ modelDir: ${JSON.stringify(modelDir)}, maxLength: 99, truncate: true, workers: 2 });
    console.log((await encoder.encode('a', ['b'])).length);
    await encoder.close();`;
  const loader = import.meta.resolve('tsx');
  const output = execFileSync(process.execPath, ['--import', loader, '--input-type=module', '-e', script], {
    timeout: 30_000,
  });
  expect(output.toString().trim()).toBe('1');
});
