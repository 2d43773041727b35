import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { jsonPieces } from '../../src/server/json-answer.ts';
import { putBack, takeApart } from '../../src/server/json-pieces.ts';
import { JsonThread, type JsonThreadOptions } from '../../src/server/json-thread.ts';
import { createFakeReranker, postRerank, startApp } from './fake-reranker.ts';

const limits = { maxJsonDepth: 32, maxJsonKeys: 10_000, maxJsonValues: 50_000 };
const threads: JsonThread[] = [];
afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.close()));
});

function open(options: Partial<JsonThreadOptions> = {}): JsonThread {
  const thread = new JsonThread({ limits, maxBodyBytes: 2 ** 24, ...options });
  threads.push(thread);
  return thread;
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text));
const never = new AbortController().signal;
const parse = (thread: JsonThread, text: string, signal = never) => thread.parse(bytesOf(text), signal);

describe('a thread', () => {
  const long = '漢"\\😀'.repeat(200_000);
  test('reads what JSON.parse reads', async () => {
    const text = `{"query":${JSON.stringify(long)},"__proto__":{"__proto__":${JSON.stringify(long)}},"list":[1e400,-0,null,true,"",${JSON.stringify('x'.repeat(400)).repeat(3).replaceAll('""', '","')}],"a":1,"a":2}`;
    const value = await parse(open(), text);
    expect(value).toEqual(JSON.parse(text));
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value as object)).toContain('__proto__');
    expect(value).toMatchObject({ a: 2 });
  });

  test.each([
    ['{"a":', 'JSON decode error: not valid JSON'],
    ['', 'Field required'],
    ['['.repeat(33), 'nested deeper than 32 levels'],
    [`[${'0,'.repeat(50_000)}0]`, 'more than 50000 values'],
  ])('refuses %.20s with 400', async (text, message) => {
    await expect(parse(open(), text)).rejects.toMatchObject({ status: 400, message: expect.stringContaining(message) });
  });

  test('a text alone and bodies side by side come out in their order', async () => {
    const thread = open();
    const texts = Array.from({ length: 8 }, (_, i) => JSON.stringify(`${i}`.repeat(300_000)));
    expect(await Promise.all(texts.map((text) => parse(thread, text)))).toEqual(texts.map((text) => JSON.parse(text)));
  });
});

describe('a thread that fails', () => {
  const entry = new URL('./failing-json-worker.ts', import.meta.url);
  test.each([
    ['exit', {}, 'exit code 3'],
    ['throw', {}, 'as asked'],
    ['hang', { limitMs: 4000 }, 'it takes more than 4000 ms'],
    ['fill', { maxBodyBytes: 1 }, 'memory'],
  ])('%s: its own body is refused with 503, the next has a new thread', async (how, options, why) => {
    const thread = open({ entry, ...options });
    expect(await parse(thread, '"first"')).toBe(1);
    const failing = parse(thread, JSON.stringify(how));
    const next = parse(thread, '"next"');
    await expect(failing).rejects.toMatchObject({ code: 'engine-stopped', message: expect.stringContaining(why) });
    expect(await next).toBe(1);
  });

  test('ends when it is idle, and comes back', async () => {
    const thread = open({ entry, idleMs: 50 });
    expect(await parse(thread, '"a"')).toBe(1);
    expect(await parse(thread, '"b"')).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await parse(thread, '"c"')).toBe(1);
  });

  test('a client that has gone leaves its place, before and after its turn', async () => {
    const thread = open({ entry });
    const [one, other] = [new AbortController(), new AbortController()];
    const running = parse(thread, '"a"', one.signal);
    const waiting = parse(thread, '"exit"', other.signal);
    const last = parse(thread, '"c"');
    one.abort();
    other.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    expect(await last).toBe(2);
  });

  test('closing refuses what waits and what comes', async () => {
    const thread = open({ entry });
    const pending = [parse(thread, '"hang"'), parse(thread, '"b"')].map((one) => one.catch((error: unknown) => error));
    await thread.close();
    for (const error of await Promise.all(pending)) expect(error).toMatchObject({ code: 'engine-stopped' });
    await expect(parse(thread, '"c"')).rejects.toMatchObject({ code: 'engine-stopped' });
  });
});

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '漢', '😀', '\ud800', '\udc00'), maxLength: 600 }),
);
const { value: jsonValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    text,
    fc.double(),
    fc.constant(null),
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(text, fc.constant('__proto__')), tie('value'), { maxKeys: 4 }),
  ),
}));

test('a value that is taken apart, cloned and put together is the same', () => {
  fc.assert(
    fc.property(jsonValue, (made) => {
      const json = JSON.stringify(made);
      const { build, pieces } = takeApart(JSON.parse(json));
      const clone = structuredClone(build);
      let put = 0;
      for (const piece of structuredClone(pieces)) {
        putBack(clone, put, piece);
        put += piece.length;
      }
      expect(JSON.stringify(clone.root.value)).toBe(json);
    }),
  );
});

test('an answer in pieces is what JSON.stringify writes', () => {
  fc.assert(
    fc.property(jsonValue, fc.constantFrom(1, 2, 3, 50, 1000), (value, units) => {
      expect([...jsonPieces(value, units)].join('')).toBe(JSON.stringify(value));
      expect([...jsonPieces({ a: undefined, b: value, c: undefined }, units)].join('')).toBe(
        JSON.stringify({ b: value }),
      );
    }),
  );
});

test('requests with large bodies are answered as small ones are', async () => {
  const app = await startApp(createFakeReranker());
  const documents = Array.from({ length: 20 }, (_, i) => `${i}${'漢 "'.repeat(30_000)}`);
  const response = await postRerank(app.url, { query: 'q', documents });
  expect(response.status).toBe(200);
  const answer = (await response.json()) as { index: number; document: string }[];
  expect(answer.map(({ document, index }) => document === documents[index])).toEqual(documents.map(() => true));
  const broken = await postRerank(app.url, `{"query":"q","documents":["${'a'.repeat(100_000)}"`);
  expect(broken.status).toBe(400);
  await app.close();
});
