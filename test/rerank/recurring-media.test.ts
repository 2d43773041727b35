import { describe, expect, it } from 'vitest';
import type { EncodedMedia, MediaSource } from '../../src/media/encoded-media.ts';
import { RecurringMedia } from '../../src/rerank/recurring-media.ts';
import { mediaOf } from '../support/fake-vision.ts';

const source = (url: string): MediaSource => ({ kind: 'image', url });
/** Bytes of a picture of one token. */
const one = mediaOf(0).rgb.length;

/** A request that takes these pictures in this order, with room for so many of them. */
function setUp(order: string, room = 1000, load = async (url: string) => mediaOf(url.charCodeAt(0))) {
  const loaded: string[] = [];
  const media = new RecurringMedia([...order].map(source), room * one, (of) => {
    const { url } = of as { url: string };
    loaded.push(url);
    return load(url);
  });
  const take = async (names: string): Promise<EncodedMedia[]> => {
    const taken: EncodedMedia[] = [];
    for (const name of names) taken.push(await media.take(source(name)));
    return taken;
  };
  return { media, loaded, take };
}

describe('RecurringMedia', () => {
  it('loads each once, and gives everybody the same object', async () => {
    const { take, loaded } = setUp('abcabca');
    const taken = await take('abcabca');
    expect(loaded.join('')).toBe('abc');
    expect(taken.map(({ rgb }) => String.fromCharCode(rgb[0]!)).join('')).toBe('abcabca');
    expect(new Set(taken).size).toBe(3);
  });

  it('lets those who ask at once share a load', async () => {
    const { media, loaded } = setUp('aab');
    const [a, b, c] = await Promise.all(['a', 'a', 'b'].map((name) => media.take(source(name))));
    expect(loaded).toEqual(['a', 'b']);
    expect([a === b, a === c]).toEqual([true, false]);
  });

  it('keeps what comes again, and nothing else: pictures that are shown once take no room', async () => {
    const { take, loaded } = setUp('aXYZWVUa', 2);
    await take('aXYZWVUa');
    expect(loaded.join('')).toBe('aXYZWVU');
  });

  it('keeps no more than there is room for: the others are loaded again', async () => {
    const { take, loaded } = setUp('abcabc', 2);
    await take('abcabc');
    // c has no room while a and b wait to be shown again; they make some when they have been.
    expect(loaded.join('')).toBe('abcc');
  });

  it('forgets what has been shown for the last time', async () => {
    const { take, loaded } = setUp('aabbccdd', 1);
    await take('aabbccdd');
    expect(loaded.join('')).toBe('abcd');
  });

  it('fails for everybody who asks for what could not be loaded, and for nobody else', async () => {
    const { media, loaded, take } = setUp('abaa', 1000, async (url) => {
      if (url === 'a') throw new Error('damaged');
      return mediaOf(1);
    });
    const both = await Promise.allSettled([media.take(source('a')), media.take(source('a'))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await take('b');
    await expect(take('a')).rejects.toThrow('damaged');
    expect(loaded.join('')).toBe('ab');
  });
});
