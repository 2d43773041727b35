import { describe, expect, it } from 'vitest';
import type { Content } from '../../src/rerank/reranker.ts';
import { clip, collect, mediaFor, nameOf, options, picture, pictures, setUp, text, turns } from './content-setup.ts';

describe('parts', () => {
  it('go into the prompt in the caller’s order, and media with the pair: the query’s first', async () => {
    const { encoder, prompted } = setUp();
    const query = [picture('q1'), text('what'), clip('q2')];
    const documents = ['plain', [text('a'), picture('d2x3'), text('b')]];
    const [window] = await collect(encoder.windows(query, documents, { ...options, windowTokens: 99 }));
    expect(prompted).toHaveLength(1);
    expect(prompted[0]!.query).toEqual([
      { kind: 'image', tokens: 1 },
      { kind: 'text', text: 'what' },
      { kind: 'video', tokensPerGroup: 1, timestamps: [0.5, 1.5] },
    ]);
    expect(prompted[0]!.documents).toEqual([
      [{ kind: 'text', text: 'plain' }],
      [
        { kind: 'text', text: 'a' },
        { kind: 'image', tokens: 6 },
        { kind: 'text', text: 'b' },
      ],
    ]);
    const ofQuery = [mediaFor({ kind: 'image', url: 'q1' }), mediaFor({ kind: 'video', url: 'q2' })];
    expect(window!.map(({ media }) => media)).toEqual([
      ofQuery,
      [...ofQuery, mediaFor({ kind: 'image', url: 'd2x3' })],
    ]);
    expect(window!.map(({ ids }) => [...ids])).toEqual([
      [3, 1],
      [3, 3],
    ]);
  });

  it('name their sources to the loader', async () => {
    const { encoder, loads } = setUp();
    const document = [picture('a'), clip('b'), clip(['c', 'd']), clip(['e'], 0.5), clip(['f'], null), clip('g', 3)];
    await collect(encoder.windows('q', [document], options));
    expect(loads.map(({ source }) => source)).toEqual([
      { kind: 'image', url: 'a' },
      { kind: 'video', url: 'b' },
      { kind: 'video', frames: ['c', 'd'] },
      { kind: 'video', frames: ['e'], fps: 0.5 },
      { kind: 'video', frames: ['f'] },
      { kind: 'video', url: 'g' },
    ]);
  });

  it('of texts alone load nothing', async () => {
    const { encoder, loads } = setUp();
    const [window] = await collect(encoder.windows([text('q')], ['a', [text('b')]], options));
    expect(window!.map(({ media }) => media)).toEqual([[], []]);
    expect(loads).toEqual([]);
  });

  it('come with the instruction', async () => {
    const { encoder, prompted } = setUp();
    await collect(encoder.windows('q', ['a'], { ...options, instruct: 'find' }));
    expect(prompted[0]!.options.instruct).toBe('find');
  });
});

describe('windows', () => {
  const sizesOf = async (documents: readonly Content[], windowTokens: number) => {
    const { encoder, prompted } = setUp();
    const windows = await collect(encoder.windows('q', documents, { ...options, windowTokens }));
    expect(prompted.map((one) => one.documents.length)).toEqual(windows.map(({ length }) => length));
    return windows.map(({ length }) => length);
  };

  it('end with the document that fills them, in order', async () => {
    const { encoder } = setUp();
    const documents = ['1x3', '1x1', '1x9', '1x2', '1x1', '1x1', '1x1'].map((size, i) => [picture(`${i}:${size}`)]);
    const windows = await collect(encoder.windows('q', documents, options));
    const columns = windows.map((window) => window.map(({ media }) => media![0]!.width / 8));
    expect(columns).toEqual([[3, 1], [9], [2, 1, 1], [1]]);
  });

  it('hold one document at least, and 128 at the most', async () => {
    expect(await sizesOf(pictures(3), 1)).toEqual([1, 1, 1]);
    expect(await sizesOf(Array<string>(300).fill('a text'), 1)).toEqual([128, 128, 44]);
    expect(await sizesOf(pictures(130), 1e9)).toEqual([128, 2]);
  });

  it('are none of no documents', async () => {
    expect(await sizesOf([], 10)).toEqual([]);
  });

  it('do not count what the query shows: every window has it', async () => {
    const { encoder } = setUp();
    const windows = await collect(encoder.windows([picture('9x9')], pictures(8), options));
    expect(windows.map(({ length }) => length)).toEqual([4, 4]);
  });
});

describe('what is loaded at a time', () => {
  it('is two documents ahead at the most, and the query before any', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const windows = encoder.windows([picture('q')], pictures(20), options);
    const first = windows.next();
    await turns();
    expect(loads.map(({ source }) => nameOf(source))).toEqual(['q']);
    loads[0]!.answer();
    for (let answered = 1; answered < 5; answered++) {
      await turns();
      expect(loads.length).toBe(answered + 2);
      loads[answered]!.answer();
    }
    expect((await first).value).toHaveLength(4);
    await turns();
    // Nobody asks for the next window: no more than is under way is read.
    expect(loads.length).toBe(1 + 4 + 1);
    await windows.return(undefined);
  });

  it('is bounded for a consumer that is slow: pictures in memory do not grow with the request', async () => {
    const { encoder, loads } = setUp();
    let scored = 0;
    let most = 0;
    for await (const window of encoder.windows('q', pictures(100), options)) {
      most = Math.max(most, loads.length - scored);
      await turns(3);
      most = Math.max(most, loads.length - scored);
      scored += window.length;
    }
    expect(scored).toBe(100);
    // A window of four, and two ahead.
    expect(most).toBeLessThanOrEqual(6);
  });

  it('keeps the documents’ order, however loads end', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const collecting = collect(encoder.windows('q', pictures(4), { ...options, windowTokens: 2 }));
    for (const i of [1, 0, 3, 2]) {
      await turns();
      loads[i]!.answer();
    }
    const shown = (await collecting).flat().map(({ media }) => media![0]!.hash);
    expect(shown).toEqual(pictures(4).map((_, i) => mediaFor({ kind: 'image', url: `p${i}` }).hash));
  });

  it('is one part of a document after the other', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const collecting = collect(encoder.windows('q', [[picture('a'), picture('b')]], options));
    await turns();
    expect(loads).toHaveLength(1);
    loads[0]!.answer();
    await turns();
    loads[1]!.answer();
    expect((await collecting).flat()[0]!.media).toHaveLength(2);
  });
});

describe('sources that come again', () => {
  const loaded = async (documents: readonly Content[]) => {
    const { encoder, loads } = setUp();
    const pairs = (await collect(encoder.windows('q', documents, options))).flat();
    return { pairs, names: loads.map(({ source }) => nameOf(source)) };
  };

  it('are loaded once, and are one object', async () => {
    const { pairs, names } = await loaded(Array.from({ length: 9 }, () => [picture('same'), clip('same')]));
    expect(names).toEqual(['same', 'same']);
    expect(new Set(pairs.map(({ media }) => media![0])).size).toBe(1);
    expect(pairs[0]!.media!.map(({ kind }) => kind)).toEqual(['image', 'video']);
  });

  it('are kept until then, whatever comes between, and by the query as well', async () => {
    const order = ['a', 'b', 'c', 'd', 'e', 'f', 'a', 'g', 'b', 'a'];
    const { encoder, loads } = setUp();
    const documents = order.map((name) => [picture(name)]);
    await collect(encoder.windows([picture('g')], documents, options));
    expect(loads.map(({ source }) => nameOf(source))).toEqual(['g', 'a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('are other ones with another speed, and other cuts between names', async () => {
    const documents = [
      clip(['a', 'b']),
      clip(['a', 'b'], 2),
      clip(['a b']),
      clip(['b'], 2),
      clip(' b'),
      clip('2 b'),
      clip(['a', 'b']),
    ].map((part) => [part]);
    const { names } = await loaded(documents.slice(0, 4));
    expect(names).toEqual(['a+b', 'a+b', 'a b', 'b']);
    expect((await loaded([documents[3]!, documents[5]!])).names).toEqual(['b', '2 b']);
    expect((await loaded([[clip(['b'])], documents[4]!])).names).toEqual(['b', ' b']);
    expect((await loaded([documents[0]!, documents[6]!])).names).toEqual(['a+b']);
  });

  it('do not know another request’s', async () => {
    const { encoder, loads } = setUp();
    for (let i = 0; i < 2; i++) await collect(encoder.windows([picture('q')], [], options));
    expect(loads).toHaveLength(2);
  });
});

describe('requests with pictures', () => {
  const begin = async (encoder: ReturnType<typeof setUp>['encoder'], signal?: AbortSignal) => {
    const windows = encoder.windows([picture('q')], ['a'], { ...options, ...(signal && { signal }) });
    const first = windows.next();
    first.catch(() => undefined);
    await turns();
    return { windows, first };
  };

  it('are four at a time; the next begins when one has ended, and texts do not wait', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const running = [await begin(encoder), await begin(encoder), await begin(encoder), await begin(encoder)];
    const fifth = await begin(encoder);
    expect(loads).toHaveLength(4);
    expect(await collect(encoder.windows('q', ['a'], options))).toHaveLength(1);
    loads[1]!.answer();
    await running[1]!.first;
    await turns();
    expect(loads).toHaveLength(4);
    expect((await running[1]!.windows.next()).done).toBe(true);
    await turns();
    expect(loads).toHaveLength(5);
    loads[4]!.answer();
    expect((await fifth.first).value).toHaveLength(1);
  });

  it('make room when they fail, when they are given up, and when they gave up waiting', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const running = [await begin(encoder), await begin(encoder), await begin(encoder), await begin(encoder)];
    const controller = new AbortController();
    const waiting = await begin(encoder, controller.signal);
    controller.abort();
    await expect(waiting.first).rejects.toMatchObject({ code: 'cancelled' });
    await begin(encoder);
    await begin(encoder);
    expect(loads).toHaveLength(4);
    loads[0]!.fail(new Error('damaged'));
    await expect(running[0]!.first).rejects.toThrow('damaged');
    await turns();
    expect(loads).toHaveLength(5);
    loads[1]!.answer();
    await running[1]!.first;
    await running[1]!.windows.return(undefined);
    await turns();
    expect(loads).toHaveLength(6);
  });
});

describe('the parts', () => {
  it('are closed together, and the prompt has its name', async () => {
    const { encoder, closed } = setUp();
    expect(encoder.prompt).toBe('fake prompt');
    await encoder.close();
    expect(closed.toSorted()).toEqual(['loader', 'prompts']);
  });
});
