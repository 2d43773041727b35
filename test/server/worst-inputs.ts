import { gzipSync } from 'node:zlib';

export interface WorstInput {
  readonly name: string;
  readonly body: Buffer;
  readonly headers?: Record<string, string>;
  /** Bytes that are written at a time; default: all. */
  readonly chunkBytes?: number;
  readonly path?: string;
}

/** The default limit of a body. */
const mostBytes = 16 * 2 ** 20;
/** What stands around the texts. */
const frameBytes = 200;
const room = mostBytes - frameBytes;

const rerank = (query: unknown, documents: unknown, more: object = {}) =>
  Buffer.from(JSON.stringify({ query, documents, ...more }));
/** A request whose only document is written as it is. */
const written = (document: string) => Buffer.from(`{"query":"q","return_documents":false,"documents":["${document}"]}`);
const terse = { return_documents: false };
const repeat = (unit: string, bytes = room) => unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)));
const each = (count: number, make: (i: number) => unknown) => Array.from({ length: count }, (_, i) => make(i));

/** What has held up servers, or would: the largest, deepest and oddest bodies within the limits and just beyond them. */
export const worstInputs: Readonly<Record<string, () => Omit<WorstInput, 'name'>>> = {
  '200,000 keys': () => ({
    body: rerank('q', ['d'], Object.fromEntries(each(200_000, (i) => [`k${String(i)}`, i]) as [string, unknown][])),
  }),
  'a million levels': () => ({ body: Buffer.from(`{"query":"q","documents":${'['.repeat(1e6)}${']'.repeat(1e6)}}`) }),
  '16 MB of a': () => ({ body: rerank('q', [repeat('a')], terse) }),
  '16 MB of \\u0041': () => ({ body: written(repeat('\\u0041')) }),
  '16 MB of escaped quotes': () => ({ body: written(repeat('\\"')) }),
  '16 MB of emoji': () => ({ body: rerank('q', [repeat('😀')], terse) }),
  '16 MB of CJK': () => ({ body: rerank('q', [repeat('漢字')], terse) }),
  '1,000 documents of 16 kB': () => ({
    body: rerank(
      'q',
      each(1000, (i) => `${i} ${repeat('lorem ipsum ', 16_000)}`),
      terse,
    ),
  }),
  '1,000 documents of 16 kB, given back': () => ({
    body: rerank(
      'q',
      each(1000, (i) => `${i} ${repeat('漢字 "', 14_000)}`),
      { return_documents: true },
    ),
  }),
  '16 MB given back': () => ({
    body: rerank('q', [{ text: 'd', note: repeat('a"', 10 * 2 ** 20) }], { return_documents: true }),
    path: '/jina/v1/rerank',
  }),
  '1,000 objects given back': () => ({
    body: rerank(
      'q',
      each(1000, (i) => ({ text: `${i}`, note: repeat('漢字', 16_000) })),
      { return_documents: true },
    ),
    path: '/jina/v1/rerank',
  }),
  '49,000 values': () => ({ body: rerank('q', ['d'], { more: each(49_000, (i) => `${i}${'x'.repeat(300)}`) }) }),
  '50,000 wrong values': () => ({
    body: rerank('q', ['d'], { rank_fields: each(49_000, (i) => i) }),
    path: '/jina/v1/rerank',
  }),
  'spaces before the last letter': () => ({ body: rerank('q', [`${repeat(' ')}a`], terse) }),
  'a run of letters, marks and digits': () => ({
    body: rerank('q', [repeat('a\u0301', 2 ** 20) + repeat('1', 2 ** 20) + repeat('\u200d', 2 ** 20)], terse),
  }),
  'special tokens': () => ({ body: rerank('q', [repeat('</s><s><mask><unk>', 4 * 2 ** 20)], terse) }),
  NUL: () => ({ body: written(`${repeat('b')}\\u0000`.slice(6)) }),
  'a lone surrogate': () => ({ body: written(`${repeat('漢')}`.slice(2) + '\\ud800') }),
  'numbers without end': () => ({
    body: Buffer.from(`{"query":"q","documents":["d"],"top_n":1e400,"x":${repeat('9', 100_000)}}`),
  }),
  'lists at the limit': () => ({
    body: rerank('q', ['d'], {
      x: JSON.parse(`${'['.repeat(31)}${each(40_000, (i) => i).join(',')}${']'.repeat(31)}`),
    }),
  }),
  'a query of 16 MB': () => ({ body: rerank(repeat('why '), ['d', 'e'], terse) }),
  'a gzip bomb': () => ({ body: gzipSync(Buffer.alloc(200 * 2 ** 20, 32)), headers: { 'content-encoding': 'gzip' } }),
  '2 MB in small chunks': () => ({ body: rerank('q', [repeat('a ', 2 * 2 ** 20)], terse), chunkBytes: 512 }),
};
