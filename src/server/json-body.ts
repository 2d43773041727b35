import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import type { Admission } from './admission.ts';
import { HttpRefusal } from './error-answer.ts';
import { readBytes } from './json-bytes.ts';
import { localsOf } from './request-locals.ts';
import { parseJson, type JsonLimits } from './json-parse.ts';
import { JsonThread } from './json-thread.ts';

export interface BodyLimits extends JsonLimits {
  /** Bytes of a request body, after decompression. */
  readonly maxBodyBytes: number;
}

/** Larger bodies are parsed in a thread. This many bytes of the worst kind (all escapes) take under 5 ms of a slow processor. */
const ownBytes = 2 ** 16;

/**
 * Middleware that leaves a parsed JSON value in `request.body`: content type, size, nesting and key count are checked first,
 * because JSON.parse of hostile bodies blocks the event loop for seconds (3.2 million keys: 4.3 s).
 * @param admission bounds what requests hold
 * @param thread    where large bodies are parsed; one that is given here can be closed, and otherwise ends when it is idle
 */
export function readJsonBody(
  limits: BodyLimits,
  admission?: Pick<Admission, 'admitBody' | 'admitWork'>,
  thread: JsonThread = new JsonThread({ limits, maxBodyBytes: limits.maxBodyBytes }),
): (RequestHandler | ErrorRequestHandler)[] {
  return [
    requireJsonContentType,
    refuseAnnouncedSize(limits.maxBodyBytes),
    ...(admission ? [admission.admitBody] : []),
    readBytes(limits.maxBodyBytes, () => bodyTooLarge(limits.maxBodyBytes)),
    noteArrival,
    ...(admission ? [admission.admitWork] : []),
    parseBytes(limits, thread),
  ];
}

/** From here on the server's own time runs. */
const noteArrival: RequestHandler = (_request, response, next) => {
  localsOf(response).arrivedAt = performance.now();
  next();
};

/** SGLang's rule: lower-cased, cut at the first `;`, exactly `application/json`; its refusal is 400, not 415. */
const requireJsonContentType: RequestHandler = (request, _response, next) => {
  const mediaType = (request.headers['content-type'] ?? '').toLowerCase().split(';', 1)[0];
  if (mediaType === 'application/json') return next();
  throw new HttpRefusal(400, "Unsupported Media Type: Only 'application/json' is allowed");
};

/** An oversized body that nobody announced is read to its end before it is answered; an announced size is refused at once. */
function refuseAnnouncedSize(maxBodyBytes: number): RequestHandler {
  return (request, _response, next) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
    next();
  };
}

function parseBytes(limits: BodyLimits, thread: JsonThread): RequestHandler {
  return (request, response, next) => {
    const bytes = request.body as Uint8Array<ArrayBuffer>;
    if (bytes.length <= ownBytes) {
      request.body = parseJson(bytes, limits);
      return next();
    }
    // The bytes are the thread's from here on.
    request.body = undefined;
    return thread.parse(bytes, signalOfClose(response)).then((value) => {
      request.body = value;
      next();
    });
  };
}

function signalOfClose(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}

function bodyTooLarge(maxBodyBytes: number): HttpRefusal {
  return new HttpRefusal(413, `the request body exceeds ${maxBodyBytes} bytes (raise the limit with --max-body-bytes)`);
}
