import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { CutOptions, EncodedPair } from '../../src/text/encoded-pair.ts';
import { createPairEncoder } from '../../src/text/create-pair-encoder-node.ts';
import { bpeFormText, embeddedModel, formText, tokenizerOf } from './forms.ts';
import { closeAll, exampleTemplate, startEncoder } from './model-folder.ts';
import { closeVlEncoders, image, known, startVlEncoder, text } from './vl-encoder.ts';

// What one request may ask for, whatever the encoder was told at its start.
const bge = tokenizerOf(formText('published'));
const modelDir = fileURLToPath(embeddedModel);
const pairEncoders = [true, false].map((truncate) =>
  createPairEncoder({ modelDir, maxLength: 128, truncate, workers: 1 }),
);
afterAll(async () => {
  await Promise.all([closeAll(), closeVlEncoders(), ...pairEncoders.map(async (encoder) => (await encoder).close())]);
});

/** A text of so many tokens, for both vocabularies. */
const words = (count: number): string => ' panda'.repeat(count);
const tooLong = (total: number, limit: number) => ({
  code: 'input-too-long',
  message: `The input (${total} tokens) is longer than the model's context length (${limit} tokens).`,
});

describe('a cross-encoder’s pairs', () => {
  const query = 'What is a panda?';
  const asked = bge.encode(query);
  const document = `${words(200)} end`;
  const read = bge.encode(document);
  const pair = (queryTokens: number, documentTokens: number) => ({
    ids: Int32Array.of(0, ...asked.slice(0, queryTokens), 2, 2, ...read.slice(0, documentTokens), 2),
    truncatedTokens: asked.length - queryTokens + read.length - documentTokens,
  });
  const encode = async (cut: CutOptions, truncate = true): Promise<EncodedPair> => {
    const encoder = await pairEncoders[truncate ? 0 : 1]!;
    return (await encoder.encode(query, [document], cut))[0]!;
  };
  const room = 128 - 4 - asked.length;

  test('the request decides about truncation, whatever the encoder was told', async () => {
    const total = 4 + asked.length + read.length;
    expect(await encode({ truncate: true }, false)).toEqual(pair(asked.length, room));
    await expect(encode({ truncate: false })).rejects.toMatchObject(tooLong(total, 128));
    await expect(encode({}, false)).rejects.toMatchObject(tooLong(total, 128));
    await expect(encode({ truncate: undefined }, false)).rejects.toMatchObject(tooLong(total, 128));
  });

  test.each<[CutOptions, number, number]>([
    [{ maxDocumentTokens: 9 }, asked.length, 9],
    [{ maxDocumentTokens: 500 }, asked.length, room],
    [{ maxQueryTokens: 2, maxDocumentTokens: 3 }, 2, 3],
    [{ maxQueryTokens: 2 }, 2, 128 - 4 - 2],
    [{ maxPairTokens: 20 }, asked.length, 16 - asked.length],
    [{ maxPairTokens: 500 }, asked.length, room],
    [{ maxPairTokens: 8 }, 4, 0],
  ])('%j', async (cut, queryTokens, documentTokens) => {
    expect(await encode(cut)).toEqual(pair(queryTokens, documentTokens));
  });

  test('a document that is cut to its own limit fits without truncation', async () => {
    expect(await encode({ maxDocumentTokens: 9 }, false)).toEqual(pair(asked.length, 9));
    await expect(encode({ maxDocumentTokens: room }, false)).rejects.toMatchObject(tooLong(128, 128));
    expect(await encode({ maxDocumentTokens: room - 1 }, false)).toEqual(pair(asked.length, room - 1));
  });

  test('a limit without room for text is refused', async () => {
    await expect(encode({ maxPairTokens: 4 })).rejects.toMatchObject({ code: 'input-invalid' });
  });
});

/** As many tokens behind a prompt's `: `, whose space the first one takes. */
const spaced = (count: number): string => words(count).slice(1);

describe.each([
  ['official', {}],
  ['sglang', { chatTemplate: exampleTemplate('qwen3_reranker.jinja') }],
])('a decoder’s prompts, %s', (_, options) => {
  const [panda] = tokenizerOf(bpeFormText('qwen3')).encode(' panda');
  const pandas = ({ ids }: EncodedPair) => ids.filter((id) => id === panda).length;
  const start = (maxLength: number, truncate = true) => startEncoder({ ...options, maxLength, truncate });

  test('maxDocumentTokens leaves so many tokens of a document, and all of the prompt around it', async () => {
    const encoder = await start(8192);
    const cut = { maxDocumentTokens: 9 };
    const documents = [spaced(8), spaced(9), spaced(10), spaced(4000)];
    const pairs = await encoder.encode('q', documents, cut);
    expect(pairs.map(pandas)).toEqual([8, 9, 9, 9]);
    expect(pairs.map(({ truncatedTokens }) => truncatedTokens)).toEqual([0, 0, 1, 3991]);
    const whole = await encoder.encode('q', [spaced(9)]);
    for (const pair of pairs.slice(1)) expect(pair.ids).toEqual(whole[0]!.ids);
    // It is no reason to refuse.
    const refusing = await start(1024, false);
    expect((await refusing.encode('q', [spaced(4000)], cut))[0]!.ids).toEqual(whole[0]!.ids);
  });

  test('maxPairTokens is the limit of a prompt, unless the encoder’s is less', async () => {
    const encoder = await start(8192);
    const small = await start(150);
    const [pair] = await encoder.encode('q', [spaced(4000)], { maxPairTokens: 150 });
    expect(pair).toEqual((await small.encode('q', [spaced(4000)]))[0]);
    expect(pair!.ids.length).toBe(150);
    expect((await small.encode('q', [spaced(4000)], { maxPairTokens: 8192 }))[0]).toEqual(pair);
    await expect(encoder.encode('q', [spaced(50)], { maxPairTokens: 12 })).rejects.toMatchObject({
      code: 'input-too-long',
    });
  });

  test('the request decides about truncation', async () => {
    const cutting = await start(150);
    const refusing = await start(150, false);
    await expect(cutting.encode('q', [spaced(4000)], { truncate: false })).rejects.toMatchObject({
      code: 'input-too-long',
    });
    const [pair] = await refusing.encode('q', [spaced(4000)], { truncate: true });
    expect(pair).toEqual((await cutting.encode('q', [spaced(4000)]))[0]);
  });
});

describe('prompts with pictures', () => {
  const query = [text('q')];
  const document = [image(6), text(words(4000))];

  test('maxDocumentTokens counts text and leaves pictures whole', async () => {
    const encoder = await startVlEncoder();
    const [whole] = await encoder.encode(query, [[image(6), text(words(9))]]);
    const [pair] = await encoder.encode(query, [document], { maxDocumentTokens: 9 });
    expect(pair!.ids).toEqual(whole!.ids);
    expect(pair!.truncatedTokens).toBe(3991);
    expect(pair!.ids.filter((id) => id === known.imagePad)).toHaveLength(6);
    expect((await encoder.encode(query, [[image(6), text(words(9))]], { maxDocumentTokens: 9 }))[0]).toEqual(whole);
  });

  test('maxPairTokens and truncate', async () => {
    const encoder = await startVlEncoder();
    const small = await startVlEncoder({ maxLength: 200 });
    const [pair] = await encoder.encode(query, [document], { maxPairTokens: 200 });
    expect(pair).toEqual((await small.encode(query, [document]))[0]);
    await expect(small.encode(query, [document], { truncate: false })).rejects.toMatchObject({
      code: 'input-too-long',
    });
    const refusing = await startVlEncoder({ maxLength: 200, truncate: false });
    expect((await refusing.encode(query, [document], { truncate: true }))[0]).toEqual(pair);
  });
});
