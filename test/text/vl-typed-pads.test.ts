import { describe, expect, test } from 'vitest';

import { LongWork, pieceUnits } from '../../src/text/long-work.ts';
import { findAllPads, findPads, findTypedPads, marksIn, PadHider, showBars } from '../../src/text/typed-pads.ts';
import { vlBuiltInPrompt } from '../../src/text/vl-built-in-prompt.ts';
import { image, text } from './vl-encoder.ts';

const [imagePad, videoPad] = ['<|image_pad|>', '<|video_pad|>'];
const hider = (templateMarks: readonly number[] = []): PadHider => new PadHider(new Set(templateMarks), new LongWork());

/** So many private-use characters. */
const marksOf = (count: number): string =>
  Array.from({ length: count }, (_, i) => String.fromCharCode(0xe000 + i)).join('');

/** Processor time in ms of hiding a pad beside so many letters and these marks, best of four. */
const timeHiding = async (marks: string): Promise<number> => {
  let best = Infinity;
  for (let round = 0; round < 4; round += 1) {
    const started = process.cpuUsage();
    await hider().hide([imagePad + 'a'.repeat(400_000) + marks]);
    const { user, system } = process.cpuUsage(started);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
};

/** How often the event loop turns until work is done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  const count = (): void => {
    turns += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  await work;
  clearImmediate(next);
  return turns;
}

describe('texts of several pieces', () => {
  test('a pad on a seam is hidden, shown again, and found', async () => {
    for (let before = 0; before <= imagePad.length; before += 1) {
      const typed = `${'a'.repeat(pieceUnits - before)}${imagePad}b${videoPad}${'c|'.repeat(pieceUnits)}${imagePad}d`;
      const { texts, mark } = await hider().hide([typed]);
      expect(texts[0]!.length).toBe(typed.length);
      expect(findPads(texts[0]!)).toEqual([]);
      expect((await showBars(texts[0]!, mark, new LongWork())) === typed).toBe(true);
      const places = await findAllPads(typed, new LongWork());
      const at = pieceUnits - before;
      expect(places).toEqual([
        { kind: 'image', at },
        { kind: 'video', at: at + 14 },
        { kind: 'image', at: at + 27 + 2 * pieceUnits },
      ]);
      const ranges = await findTypedPads(typed, [places[1]!], new LongWork());
      expect(ranges).toEqual([at, at + 13, at + 27 + 2 * pieceUnits, at + 40 + 2 * pieceUnits]);
    }
  });

  test('pads side by side are one range', async () => {
    const typed = `a${imagePad}${videoPad}${imagePad}b${imagePad}`;
    expect(await findTypedPads(typed, [{ kind: 'video', at: 14 }], new LongWork())).toEqual([1, 14, 27, 40, 41, 54]);
    expect(await findTypedPads(typed, [], new LongWork())).toEqual([1, 40, 41, 54]);
    const many = imagePad.repeat(100_000);
    expect(await findTypedPads(many, [], new LongWork())).toEqual([0, many.length]);
  });
});

describe('the mark', () => {
  test('is the first character that neither a text nor the template holds', async () => {
    const texts = [imagePad, marksOf(3), 'q\ue004', marksOf(2)];
    expect((await hider([0xe003]).hide(texts)).mark).toBe('\ue005');
    expect((await hider([0xe003]).hide(texts.slice(1))).mark).toBe('');
    expect((await hider().hide([imagePad + marksOf(6399)])).mark).toBe('\uf8ff');
    await expect(hider([0xf8ff]).hide([imagePad + marksOf(6399)])).rejects.toMatchObject({ code: 'input-invalid' });
    expect([...(await marksIn(`\udfff\ue000${'a'.repeat(pieceUnits)}\uf8ff\uf900`, new LongWork()))]).toEqual([
      0xe000, 0xf8ff,
    ]);
  });

  test('is found in one pass, however many are taken', async () => {
    await timeHiding('');
    // Trying one after the other takes a hundred times as long.
    expect(await timeHiding(marksOf(6399))).toBeLessThan(10 * (await timeHiding('\ue000')) + 20);
  });

  test('is looked for once in a text that prompts share', async () => {
    const shared = `${imagePad}${'panda '.repeat(80_000)}`;
    const own = new LongWork();
    let units = 0;
    const counting = { isDue: (more: number) => ((units += more), own.isDue(more)), pause: () => own.pause() };
    const one = new PadHider(new Set(), counting as unknown as LongWork);
    for (let i = 0; i < 50; i += 1) await one.hide([shared.slice(0, 2000), `document ${i} ${imagePad}`]);
    // Once looked through for pads and once for marks; written anew for each prompt.
    expect(units).toBeLessThan(2 * 2000 + 50 * 2000 + 50 * 200);
  });
});

describe('the event loop', () => {
  const source = vlBuiltInPrompt(false);
  const prompts = (document: string) => source.prompts([{ query: [text('q')], document: [text(document), image(1)] }]);

  test('turns while long texts are prepared', async () => {
    const documents = [imagePad.repeat(160_000), `${imagePad}${'a|'.repeat(10 ** 6)}`, 'the cat sat. '.repeat(160_000)];
    for (const document of documents) {
      const pieces = Math.floor(document.length / pieceUnits);
      expect(await turnsDuring(prompts(document))).toBeGreaterThanOrEqual(pieces);
    }
    const parts = Array.from({ length: 50_000 }, () => text('a|b'));
    expect(await turnsDuring(source.prompts([{ query: parts, document: [image(1)] }]))).toBeGreaterThan(15);
  });

  test('more than 2 Mi characters of texts that spell pads are refused, other texts are not', async () => {
    const long = 'a b '.repeat(2 ** 19);
    expect((await prompts(`${long.slice(imagePad.length)}${imagePad}`))[0]!.plain.length).toBe(2);
    await expect(prompts(`${long}${imagePad}`)).rejects.toMatchObject({
      code: 'input-invalid',
      message: expect.stringMatching(/texts of 2097165 characters spell .*at most 2097152/),
    });
    expect((await prompts(`${long}|${long}`))[0]!.plain).toEqual([]);
  });
});
