import { once } from 'node:events';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { WgrankError } from '../../src/errors.ts';
import { createMediaLoader, type MediaLoaderOptions } from '../../src/media/create-media-loader-node.ts';
import type { MediaLoader } from '../../src/media/encoded-media.ts';
import { createSourceReader } from '../../src/media/read-source-node.ts';
import { pictureFile, rules } from './media-setup.ts';

setFlagsFromString('--expose-gc');

const loaders: MediaLoader[] = [];
afterEach(() => Promise.all(loaders.splice(0).map((loader) => loader.close())));

type ReadSource = MediaLoaderOptions['readSource'];

/** A loader whose sources are names of fixtures; `readSource` counts. */
function startLoader(read: ReadSource = (url) => Promise.resolve(pictureFile(url))) {
  const readSource = vi.fn<ReadSource>(read);
  const loader = createMediaLoader({ rules, readSource, workers: 1 });
  loaders.push(loader);
  return { loader, readSource };
}

const image = (url: string) => ({ kind: 'image', url }) as const;

describe('createMediaLoader', () => {
  test('reads a source once for all who ask at the same time, and again later', async () => {
    const { loader, readSource } = startLoader();
    const [first, second, other] = await Promise.all(
      ['420.jpg', '420.jpg', '444.jpg'].map((url) => loader.load(image(url))),
    );
    expect(readSource).toHaveBeenCalledTimes(2);
    expect(second).toBe(first);
    expect(other!.hash).not.toBe(first!.hash);
    expect((await loader.load(image('420.jpg'))).hash).toBe(first!.hash);
    expect(readSource).toHaveBeenCalledTimes(3);
  });

  test('a picture and a video of the same address are two things', async () => {
    const { loader, readSource } = startLoader();
    const outcomes = await Promise.allSettled([
      loader.load(image('420.jpg')),
      loader.load({ kind: 'video', url: '420.jpg' }),
    ]);
    expect(readSource.mock.calls.map(([url, kind]) => [url, kind])).toEqual([
      ['420.jpg', 'image'],
      ['420.jpg', 'video'],
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  test('a list of pictures is a clip; other frames or another rate are another clip', async () => {
    const { loader, readSource } = startLoader();
    const frames = ['420.jpg', '444.jpg', '422.jpg', 'palette.png', 'still.gif'];
    const [clip, same, slower] = await Promise.all([
      loader.load({ kind: 'video', frames }),
      loader.load({ kind: 'video', frames: [...frames] }),
      loader.load({ kind: 'video', frames, fps: 1 }),
    ]);
    expect(clip).toMatchObject({ kind: 'video', frames: 6, width: 128, height: 96, timestamps: [0.25, 1.25, 2] });
    expect(same).toBe(clip);
    expect(slower).toMatchObject({ timestamps: [0.5, 2.5, 4] });
    expect(readSource).toHaveBeenCalledTimes(10);
    expect(readSource.mock.calls.every(([, kind]) => kind === 'image')).toBe(true);
  });

  test('pictures of a list have a limit together', async () => {
    const { loader, readSource } = startLoader(() => Promise.resolve(new Uint8Array(9_000_000)));
    const frames = Array.from({ length: 100 }, (_, index) => String(index));
    await expect(loader.load({ kind: 'video', frames })).rejects.toMatchObject({ code: 'media-too-large' });
    expect(readSource).toHaveBeenCalledTimes(8);
  });

  test('pictures of a list are counted as each arrives, and what is still read then is given up', async () => {
    const signals: AbortSignal[] = [];
    const { loader } = startLoader((url, _, signal) => {
      if (url !== '3') return Promise.resolve(new Uint8Array(30_000_000));
      signals.push(signal!);
      return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(new Error('stopped'))));
    });
    const call = loader.load({ kind: 'video', frames: ['0', '1', '2', '3', '4'] });
    await expect(call).rejects.toMatchObject({ code: 'media-too-large' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test.each([
    [1, 2],
    [8, 4],
  ])('reads lists of %i for two clips at a time, %i pictures; pictures get past them', async (length, atOnce) => {
    let going = 0;
    let most = 0;
    const held = new AbortController();
    const released = once(held.signal, 'abort');
    const { loader } = startLoader(async (url) => {
      if (url.endsWith('.jpg')) return pictureFile(url);
      going += 1;
      most = Math.max(most, going);
      await released;
      going -= 1;
      return pictureFile('420.jpg');
    });
    const clips = Array.from({ length: 8 }, (_, list) =>
      loader.load({ kind: 'video', frames: Array.from({ length }, (_, at) => `${list} ${at}`) }),
    );
    expect(await loader.load(image('420.jpg'))).toMatchObject({ width: 128 });
    expect(going).toBe(atOnce);
    held.abort();
    expect((await Promise.all(clips)).map(({ frames }) => frames)).toEqual(Array(8).fill(Math.max(2, length)));
    expect(most).toBe(atOnce);
  });

  test('encoded bytes of many lists do not pile up', async () => {
    const megabytes = 2 ** 20;
    const collectGarbage = runInNewContext('gc') as () => void;
    // Without a counter, which would keep what it returned.
    const readSource = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return new Uint8Array(15 * megabytes);
    };
    const loader = createMediaLoader({ rules, readSource, workers: 1 });
    loaders.push(loader);
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    const look = setInterval(() => {
      // Only what is held counts.
      collectGarbage();
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    }, 5);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, list) =>
        loader.load({ kind: 'video', frames: Array.from({ length: 8 }, (_, at) => `${list} ${at}`) }),
      ),
    );
    clearInterval(look);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(8).fill('rejected'));
    expect(peak).toBeLessThan(256 * megabytes);
  });

  test('the fault of a source is told to all who wait for it, and forgotten', async () => {
    let count = 0;
    const { loader } = startLoader((url) => {
      count += 1;
      if (count > 1) return Promise.resolve(pictureFile(url));
      return Promise.reject(new WgrankError('media-unavailable', 'media', 'it is gone'));
    });
    const outcomes = await Promise.allSettled([loader.load(image('420.jpg')), loader.load(image('420.jpg'))]);
    const gone = { status: 'rejected', reason: { code: 'media-unavailable' } };
    expect(outcomes).toMatchObject([gone, gone]);
    expect(await loader.load(image('420.jpg'))).toMatchObject({ width: 128 });
  });

  test('one who gives up leaves the load to the others', async () => {
    const { loader, readSource } = startLoader();
    const controller = new AbortController();
    const calls = [loader.load(image('420.jpg'), controller.signal), loader.load(image('420.jpg'))];
    controller.abort();
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes).toMatchObject([{ reason: { code: 'cancelled' } }, { value: { width: 128 } }]);
    expect(readSource).toHaveBeenCalledTimes(1);
    expect(readSource.mock.calls[0]![2]!.aborted).toBe(false);
  });

  test('when all have given up, reading stops, and the next one who asks begins anew', async () => {
    const { loader, readSource } = startLoader((url, _, signal) => {
      if (readSource.mock.calls.length > 1) return Promise.resolve(pictureFile(url));
      return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(new Error('stopped'))));
    });
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => loader.load(image('420.jpg'), signal));
    await vi.waitFor(() => expect(readSource).toHaveBeenCalledTimes(1));
    controllers[0]!.abort();
    expect(readSource.mock.calls[0]![2]!.aborted).toBe(false);
    controllers[1]!.abort();
    expect(readSource.mock.calls[0]![2]!.aborted).toBe(true);
    expect(await Promise.allSettled(calls)).toMatchObject([
      { reason: { code: 'cancelled' } },
      { reason: { code: 'cancelled' } },
    ]);
    expect(await loader.load(image('420.jpg'))).toMatchObject({ width: 128 });
    await expect(loader.load(image('420.jpg'), AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('reads and holds eight sources at a time', async () => {
    let going = 0;
    let most = 0;
    const { loader } = startLoader(async () => {
      going += 1;
      most = Math.max(most, going);
      await new Promise((resolve) => setTimeout(resolve, 5));
      going -= 1;
      return pictureFile('420.jpg');
    });
    const media = await Promise.all(Array.from({ length: 30 }, (_, index) => loader.load(image(String(index)))));
    expect(new Set(media.map(({ hash }) => hash)).size).toBe(1);
    expect(most).toBe(8);
  });

  test('the content decides, not the media type of a data URI', async () => {
    const sources = createSourceReader();
    const { loader } = startLoader((url, kind, signal) => sources.read(url, kind, signal));
    const base64 = pictureFile('420.jpg').toString('base64');
    const [right, wrong] = await Promise.all(
      ['image/jpeg', 'image/png'].map((type) => loader.load(image(`data:${type};base64,${base64}`))),
    );
    expect(wrong!.hash).toBe(right!.hash);
    const svg = image(`data:image/png;base64,${Buffer.from('<svg/>').toString('base64')}`);
    await expect(loader.load(svg)).rejects.toMatchObject({
      code: 'media-invalid',
      message: expect.stringMatching(/SVG/) as string,
    });
  });

  test('closing rejects what is pending', async () => {
    const { loader } = startLoader();
    const pending = loader.load(image('420.jpg')).catch((error: { code: string }) => error.code);
    await loader.close();
    expect(await pending).toBe('engine-stopped');
  });
});
