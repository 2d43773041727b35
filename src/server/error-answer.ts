import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { errorCatalogue, WgrankError, type ErrorCode } from '../errors.ts';

/** SGLang's flat error object; `code` equals the HTTP status. */
export interface ErrorBody {
  readonly object: 'error';
  readonly message: string;
  readonly type: string;
  readonly param: null;
  readonly code: number;
}

/** A refusal that belongs to HTTP itself (route, method, body, schema); everything else is a `WgrankError`. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether a 429 or 503 tells the client to come back. */
  readonly retry: boolean;

  /** @param type defaults to the status's reason phrase, e.g. SGLang's `Bad Request` for schema and JSON errors */
  constructor(
    status: number,
    message: string,
    options: { type?: string; headers?: Record<string, string>; retry?: boolean } = {},
  ) {
    super(message);
    this.status = status;
    this.type = options.type ?? STATUS_CODES[status] ?? String(status);
    this.headers = options.headers ?? {};
    this.retry = options.retry ?? true;
  }
}

interface StatusRow {
  readonly status: number;
  readonly type: string;
}

const badRequest: StatusRow = { status: 400, type: 'BadRequestError' };
const internal: StatusRow = { status: 500, type: 'InternalServerError' };
// SGLang gives an engine's own HTTP errors their status, as a string, for a type.
const unavailable: StatusRow = { status: 503, type: '503' };

/** What each named failure becomes over HTTP. Codes that only start-up can raise are 500 should they ever surface later. */
export const errorStatuses: Readonly<Record<ErrorCode, StatusRow>> = {
  // SGLang too answers 400 when rendering fails: what was sent decides whether it does.
  'template-invalid': badRequest,
  'input-too-long': badRequest,
  'input-invalid': badRequest,
  'media-unsupported': badRequest,
  'media-refused': badRequest,
  'media-unavailable': badRequest,
  'media-too-large': badRequest,
  'media-invalid': badRequest,
  'decoder-missing': badRequest,
  overloaded: { status: 429, type: '429' },
  cancelled: { status: 499, type: '499' },
  'device-lost': unavailable,
  'out-of-memory': unavailable,
  'engine-stopped': unavailable,
  'gpu-error': internal,
  'shader-invalid': internal,
  'shape-mismatch': internal,
  'numeric-range': internal,
  'adapter-missing': internal,
  'checkpoint-missing': internal,
  'checkpoint-invalid': internal,
  'tensor-missing': internal,
  'tensor-unexpected': internal,
  'tensor-shape': internal,
  'config-invalid': internal,
  'model-unsupported': internal,
  'model-not-found': internal,
  'tokenizer-invalid': internal,
  'launch-refused': internal,
  'listen-failed': internal,
};

/** Seconds a client is told to wait before it repeats a request that was refused with 429 or 503. */
const retryAfterSeconds = 2;

export interface ErrorAnswer {
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Maps anything thrown to a status, body and headers. Messages of 5xx failures are replaced by the catalogue's sentence: texts of
 * the engine may hold paths or addresses, which are for the log only.
 */
export function toErrorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof HttpRefusal) return answer(error.status, error.message, error.type, error.headers, error.retry);
  if (error instanceof WgrankError) {
    const { status, type } = errorStatuses[error.code];
    if (status < 500) return answer(status, error.message, type);
    const sentence = errorCatalogue[error.code];
    return answer(status, status === 500 ? `Internal server error: ${sentence}` : sentence, type);
  }
  const status = clientErrorStatus(error);
  if (status !== undefined) return answer(status, STATUS_CODES[status] ?? 'Bad Request', STATUS_CODES[status] ?? '400');
  return answer(500, 'Internal server error: unexpected failure', 'InternalServerError');
}

function answer(
  status: number,
  message: string,
  type: string,
  headers: Readonly<Record<string, string>> = {},
  mayRetry = true,
): ErrorAnswer {
  const retry =
    mayRetry && (status === 429 || status === 503)
      ? { 'Retry-After': String(retryAfterSeconds), 'retry-after-ms': String(retryAfterSeconds * 1000) }
      : {};
  return { body: { object: 'error', message, type, param: null, code: status }, headers: { ...retry, ...headers } };
}

/** Express and body-parser mark their own refusals with `status`; only 4xx are taken at their word. */
function clientErrorStatus(error: unknown): number | undefined {
  const status: unknown = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

/** The last middleware: answers every failure in SGLang's shape and logs what the client does not get to see. */
export function answerErrors(log: (line: string) => void): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const { body, headers } = toErrorAnswer(error);
    // A refusal ("still loading") is an answer, not a failure: probes would fill the log.
    if (body.code >= 500 && !(error instanceof HttpRefusal))
      log(`${request.method} ${request.path} ${body.code}: ${describe(error)}`);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    response.status(body.code).set(headers).json(body);
  };
}

function describe(error: unknown): string {
  if (error instanceof WgrankError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** 404 for paths that no route knows. The path is not echoed. */
export const refuseUnknownRoute: RequestHandler = () => {
  throw new HttpRefusal(404, 'Not Found');
};

/** 405 for a known path under another method. */
export function refuseMethod(...allowed: readonly string[]): RequestHandler {
  return () => {
    throw new HttpRefusal(405, 'Method Not Allowed', { headers: { Allow: allowed.join(', ') } });
  };
}
