import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Request, RequestHandler } from 'express';
import { WgrankError } from '../errors.ts';
import { HttpRefusal } from './error-answer.ts';

/** Bytes up to which a body is kept as it comes and joined in the end: nothing to notice. */
const joinedBytes = 2 ** 16;

/**
 * Middleware that leaves a body's bytes in `request.body`, decompressed. What body-parser does, save that large bodies are put in
 * their place as they come: joining 16 MB in the end holds the event loop for up to 160 ms where memory is slow. Larger bodies than
 * 64 KiB have their memory to themselves, so that a thread can have it.
 * @param tooLarge made when there are more bytes
 */
export function readBytes(maxBytes: number, tooLarge: () => HttpRefusal): RequestHandler {
  return (request, _response, next) => {
    const { stream, announced } = open(request);
    const body = new Collector(announced ?? maxBytes, maxBytes);
    const end = (error?: Error) => {
      request.off('close', gone);
      stream.removeAllListeners('data').off('end', done).off('error', failed);
      if (stream !== request) {
        request.unpipe();
        // What it still has to say is for nobody.
        stream.on('error', () => undefined).destroy();
      }
      if (error === undefined) {
        // What follows the end of a compressed body is for nobody, and must not hold up the connection.
        if (!request.complete) request.resume();
        return next();
      }
      if (request.complete || request.destroyed) return next(error);
      // A client that still sends does not read an answer: the rest is let through first.
      request.once('close', () => next(error)).resume();
    };
    const done = () => {
      request.body = body.finish();
      end();
    };
    const failed = () => end(new HttpRefusal(400, 'Bad Request'));
    // A request that is read to its end closes, too, while its decompressor still works.
    const gone = () => {
      if (!request.complete) end(new WgrankError('cancelled', 'server', 'the client has gone'));
    };
    stream.on('data', (chunk: Uint8Array) => {
      try {
        if (!body.add(chunk)) end(tooLarge());
      } catch (error) {
        // No memory for a body of this size.
        if (!(error instanceof RangeError)) throw error;
        end(new HttpRefusal(503, 'There is no memory for the request body.', { type: '503' }));
      }
    });
    stream.on('end', done).on('error', failed);
    request.on('close', gone).on('error', () => undefined);
    if (stream !== request) request.pipe(stream as Decompressor);
  };
}

type Decompressor = ReturnType<typeof createGunzip>;

const decompressors: Readonly<Record<string, () => Decompressor>> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** @throws HttpRefusal 415 */
function open(request: Request): { stream: Readable; announced: number | undefined } {
  const encoding = (request.headers['content-encoding'] ?? 'identity').toLowerCase();
  const length = request.headers['content-length'];
  if (encoding === 'identity') return { stream: request, announced: length === undefined ? undefined : Number(length) };
  if (!Object.hasOwn(decompressors, encoding)) throw new HttpRefusal(415, 'Unsupported Media Type');
  return { stream: decompressors[encoding]!(), announced: undefined };
}

class Collector {
  readonly #mostBytes: number;
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #place: Uint8Array<ArrayBuffer> | undefined;
  #used = 0;

  /** @param mostBytes that are expected: memory that is set aside, and costs nothing until it is written to */
  constructor(mostBytes: number, maxBytes: number) {
    this.#mostBytes = Math.min(mostBytes, maxBytes);
    this.#maxBytes = maxBytes;
  }

  /** @returns false when it is too much */
  add(chunk: Uint8Array): boolean {
    const start = this.#used;
    this.#used += chunk.length;
    if (this.#used > this.#maxBytes) return false;
    if (this.#used > joinedBytes) this.#makePlace();
    if (this.#place === undefined) this.#chunks.push(chunk);
    else this.#place.set(chunk, start);
    return true;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#place?.subarray(0, this.#used) ?? new Uint8Array(Buffer.concat(this.#chunks));
  }

  #makePlace(): void {
    if (this.#place !== undefined) return;
    this.#place = new Uint8Array(this.#mostBytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      this.#place.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [];
  }
}
