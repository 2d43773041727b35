import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';

/** A piece of a request, so that large ones are short to write. Texts are UTF-8. */
type Piece = string | { readonly repeat: string; readonly times: number } | { readonly base64: string };
type Named = Readonly<Record<string, readonly Piece[]>>;

interface Corpus {
  /** Whole requests. */
  readonly raw: Named;
  /** Bodies for every route that reads one. */
  readonly bodies: Named;
  /** Bodies that are sent compressed. */
  readonly encoded: Named;
}

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Buffer;
}

const { raw, bodies, encoded } = JSON.parse(
  readFileSync(new URL('./http-corpus.json', import.meta.url), 'utf8'),
) as Corpus;

const bytesOf = (pieces: readonly Piece[]): Buffer =>
  Buffer.concat(
    pieces.map((piece) => {
      if (typeof piece === 'string') return Buffer.from(piece);
      return 'repeat' in piece
        ? Buffer.alloc(piece.times * Buffer.byteLength(piece.repeat), piece.repeat)
        : Buffer.from(piece.base64, 'base64');
    }),
  );

const encoders = {
  gzip: (bytes: Buffer) => gzipSync(bytes, { level: 1 }),
  deflate: (bytes: Buffer) => deflateSync(bytes, { level: 1 }),
  br: (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

/** A request with a JSON body, whole. */
export function postOf(path: string, body: Buffer, headers = ''): Buffer {
  const head =
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `${headers}Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Requests that have brought servers down, or might; none is mutated yet. */
export function readCorpus(): NamedBytes[] {
  const paths = [
    '/v1/rerank',
    '/v2/rerank',
    '/rerank',
    '/tei/rerank',
    '/vllm/score',
    '/sglang/v1/score',
    '/v1/ranking',
  ];
  return [
    ...Object.entries(raw).map(([name, pieces]) => ({ name, bytes: bytesOf(pieces) })),
    ...Object.entries(bodies).flatMap(([name, pieces]) => {
      const body = bytesOf(pieces);
      return paths.map((path) => ({ name: `${path}: ${name}`, bytes: postOf(path, body) }));
    }),
    ...Object.entries(encoded).flatMap(([name, pieces]) => {
      const body = bytesOf(pieces);
      return Object.entries(encoders).flatMap(([encoding, encode]) => {
        const bytes = encode(body);
        const as = (what: string, sent: Buffer) => ({
          name: `${encoding}: ${name}, ${what}`,
          bytes: postOf('/v1/rerank', sent, `Content-Encoding: ${encoding}\r\n`),
        });
        const middle = bytes.length >> 1;
        const flipped = Buffer.from(bytes);
        flipped[middle]! ^= 0xff;
        return [as('whole', bytes), as('cut', bytes.subarray(0, middle)), as('damaged', flipped)];
      });
    }),
  ];
}
