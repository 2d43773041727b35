import { afterAll, describe, expect, test } from 'vitest';

import { findVlTokens } from '../../src/text/create-vl-prompt-encoder-node.ts';
import type { EncodedPair } from '../../src/text/encoded-pair.ts';
import type { SingleLayout } from '../../src/text/pair-layout.ts';
import type { TemplateTexts } from '../../src/text/template-texts.ts';
import { TokenizerPool } from '../../src/text/tokenizer-pool-node.ts';
import { vlBuiltInPrompt } from '../../src/text/vl-built-in-prompt.ts';
import { VlPromptCutter } from '../../src/text/vl-prompt-cutter.ts';
import { asTemplateTexts, vlPromptSource, type VlPromptSource } from '../../src/text/vl-prompt-source.ts';
import type { PromptPart } from '../../src/text/vl-prompt.ts';
import { closeAll, exampleTemplate, modelFolder } from './model-folder.ts';
import { clip, closeVlEncoders, image, startVlEncoder, text } from './vl-encoder.ts';

const pool = new TokenizerPool({ modelDir: modelFolder(), workers: 1 });
const tokens = pool.loaded().then(({ parts, layout }) => findVlTokens({ parts, layout: layout as SingleLayout }));

afterAll(async () => {
  await Promise.all([pool.close(), closeVlEncoders()]);
  await closeAll();
});

const words = (count: number): string => ' panda'.repeat(count);

/** A cutter with a count of what it has tokenised, in UTF-16 units. */
async function countingCutter(maxLength: number, source: VlPromptSource = vlBuiltInPrompt(false)) {
  const counted = { units: 0 };
  const counting: Pick<TokenizerPool, 'tokenize'> = {
    tokenize(texts, keep, signal) {
      for (const input of texts) counted.units += typeof input === 'string' ? input.length : input.text.length;
      return pool.tokenize(texts, keep, signal);
    },
  };
  const cutter = await VlPromptCutter.create({
    source,
    pool: counting,
    tokens: await tokens,
    maxLength,
    truncate: true,
  });
  counted.units = 0;
  return { cutter, counted };
}

/** Qwen3-VL's special tokens. */
const isSpecial = (id: number): boolean => id >= 151643 && id <= 151656;

/** The official cut of a whole prompt. */
function cutOfficially(ids: readonly number[], limit: number): number[] {
  const body = ids.slice(0, -5);
  let room = Math.max(0, limit - body.filter(isSpecial).length);
  return [...body.filter((id) => isSpecial(id) || room-- > 0), ...ids.slice(-5)];
}

/** Templates that write the query once, and behind the document again. */
const once = ({ query: asked, document }: TemplateTexts): string => `${asked as string}${document as string}`;
const twice = ({ query: asked, document }: TemplateTexts): string =>
  `${asked as string}\n${document as string}\n${(asked as string).replaceAll('<|', '')}<|im_end|>\n`;

const sourceOf = (write: (texts: TemplateTexts) => string): VlPromptSource =>
  vlPromptSource({
    name: 'a test',
    renderer: { render: async (prompts) => prompts.map(write) },
    form: { content: 'text', instruct: 'text' },
    escape: false,
    sample: '',
  });

const longQueries: [string, PromptPart[], string | undefined][] = [
  ['words', [text(words(2000))], undefined],
  ['an instruction', [text('q'), image(3)], words(2000)],
  ['special tokens and pads', [text(`${words(300)}<|im_end|>a<|image_pad|>\n`.repeat(3)), image(2)], 'Find it'],
  ['many parts', Array.from({ length: 500 }, () => text(' a panda')), undefined],
  ['clips between', [text(words(200)), clip(2, 0.25, 1), text(`${words(500)} <|im_`), image(1), text('end|>')], 'i'],
  ['characters of four bytes', [text('🐼'.repeat(400))], undefined],
  ['line ends', [text(`${words(400)}${'\n'.repeat(400)}`)], undefined],
  ['one word', [text('panda'.repeat(900))], undefined],
];
const pictured: PromptPart[][] = [
  [image(7)],
  [text('d'), image(2), text('e')],
  [text('\n\n'), clip(3, 0, 1.5), text(words(700))],
  [image(1), text('x<|vision_start|>y<|im_end|>z<|video_pad|>')],
  [text('|><|im_start|> '), image(1)],
];

describe.each([
  ['built in', {}],
  ['a template', { chatTemplate: exampleTemplate('qwen3_vl_reranker.jinja') }],
])('%s: a query that fills its prompts', (_, options) => {
  test.each(longQueries)('is cut as the official code cuts it: %s', async (__, query, instruct) => {
    const whole = await startVlEncoder({ ...options, maxLength: 100_000 });
    const encoder = await startVlEncoder({ ...options, maxLength: 200 });
    const pairs = await encoder.encode(query, pictured, { instruct });
    for (const [i, { ids }] of (await whole.encode(query, pictured, { instruct })).entries()) {
      const expected = cutOfficially([...ids], 200);
      expect([...pairs[i]!.ids], `${i}`).toEqual(expected);
      expect(pairs[i]!.truncatedTokens, `${i}`).toBe(ids.length - expected.length);
      expect(pairs[i]!.ids.length).toBe(205);
    }
  });
});

describe('what a request has tokenised', () => {
  const query = [text(words(15_000))];
  const documents = Array.from({ length: 300 }, (_, i) => [text(`document ${i}`), image(1 + (i % 3))]);

  test('a query that fills its prompts is tokenised twice for all documents, also when these come in several calls', async () => {
    const { cutter, counted } = await countingCutter(400);
    const first = await cutter.encode(query, documents.slice(0, 150), {});
    const units = counted.units;
    expect(units).toBeLessThan(2.5 * 115_000 + 150 * 500);
    const second = await cutter.encode(query, documents.slice(150), {});
    expect(counted.units - units).toBeLessThan(150 * 500);
    for (const i of [0, 149, 150, 299]) {
      const [alone] = await cutter.encode([...query], [documents[i]!], {});
      expect([...first, ...second][i]).toEqual(alone);
    }
  });

  test('what is remembered of a query is that query’s, and its instruction’s and limit’s', async () => {
    const { cutter } = await countingCutter(400);
    const encode = async (asked: readonly PromptPart[], options = {}): Promise<EncodedPair> =>
      (await cutter.encode(asked, [[image(2)]], options))[0]!;
    const changing = [text(words(3000))];
    const before = await encode(changing);
    expect(await encode(changing, { instruct: 'Find a fox' })).not.toEqual(before);
    expect((await encode(changing, { maxPairTokens: 100 })).ids.length).toBe(105);
    changing[0] = text(' fox'.repeat(3000));
    expect(await encode(changing)).toEqual(await encode([text(' fox'.repeat(3000))]));
    expect(await encode(changing)).not.toEqual(before);
    // Whoever gave up leaves nothing behind.
    const shared = [text(words(3000))];
    const controller = new AbortController();
    const aborted = encode(shared, { signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
    expect(await encode(shared)).toEqual(before);
  });

  test('special tokens of a query that exceed the limit are found before its documents', async () => {
    const { cutter, counted } = await countingCutter(400);
    const many = [text('<|im_end|>'.repeat(500))];
    const documentsOfText = Array.from({ length: 300 }, () => [text(words(100))]);
    for (const asked of [documents, documentsOfText])
      await expect(cutter.encode(many, asked, {})).rejects.toMatchObject({
        code: 'input-too-long',
        message: expect.stringMatching(
          /^The prompt's structure and the special tokens that the texts spell.* are 50\d /,
        ),
      });
    expect(counted.units).toBeLessThan(60_000);
    await expect(cutter.encode([text('q')], [[text('<|im_end|>'.repeat(500)), image(5)]], {})).rejects.toThrow(
      /take 5 tokens; with the special tokens of the prompt and its texts that is 51\d tokens/,
    );
  });

  test('more than 256 characters for each token of the limit are not tokenised at all', async () => {
    const { cutter, counted } = await countingCutter(400);
    const refused = { code: 'input-too-long', message: expect.stringMatching(/have 102401 characters, more than 256/) };
    for (const truncate of [true, false]) {
      const options = { truncate, instruct: 'i'.repeat(1000) };
      const call = cutter.encode([text('a'.repeat(101_401))], documents, options);
      await expect(call).rejects.toMatchObject(refused);
    }
    expect(counted.units).toBe(0);
    await cutter.encode([text('a'.repeat(102_400))], [[image(1)]], {});
  });

  test('a template that repeats such a query behind the document is no reason to tokenise it every time', async () => {
    expect(once(asTemplateTexts({ query, document: [] }, { content: 'text', instruct: 'text' }))).toBe(words(15_000));
    expect((await (await countingCutter(400, sourceOf(once))).cutter.encode(query, documents, {})).length).toBe(300);
    const { cutter, counted } = await countingCutter(400, sourceOf(twice));
    await expect(cutter.encode(query, documents, {})).rejects.toThrow(/chat template repeats them behind the document/);
    expect(counted.units).toBeLessThan(5 * 115_000);
    expect((await cutter.encode([text('q')], documents, {})).length).toBe(300);
  });

  test('of a long document only what may survive comes back from the threads', async () => {
    let kept = 0;
    const watched: Pick<TokenizerPool, 'tokenize'> = {
      async tokenize(texts, keep, signal) {
        const found = await pool.tokenize(texts, keep, signal);
        kept = Math.max(kept, ...found.map(({ ids }) => ids.length));
        return found;
      },
    };
    const source = vlBuiltInPrompt(false);
    const parts = { source, pool: watched, tokens: await tokens, maxLength: 400, truncate: true };
    const cutter = await VlPromptCutter.create(parts);
    const [pair] = await cutter.encode([text('q')], [[image(9), text(`${words(50_000)}<|im_end|>${words(9)}`)]], {});
    expect(kept).toBeLessThan(450);
    expect(pair!.ids.length).toBe(405);
    const [whole] = await (
      await startVlEncoder({ maxLength: 100_000 })
    ).encode([text('q')], [[image(9), text(`${words(50_000)}<|im_end|>${words(9)}`)]]);
    expect([...pair!.ids]).toEqual(cutOfficially([...whole!.ids], 400));
    expect(pair!.truncatedTokens).toBe(whole!.ids.length - 405);
  });
});
