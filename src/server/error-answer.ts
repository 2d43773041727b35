import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { errorCatalogue, WgrankError, type ErrorCode } from '../errors.ts';
import { shapeError, type ErrorBody, type ErrorShape, type Failure } from './error-bodies.ts';
import { OverloadedError, retryHeaders } from './overloaded-error.ts';
import { localsOf } from './request-locals.ts';

export type { ErrorBody };

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
  'deadline-exceeded': { status: 504, type: '504' },
  'engine-restarting': unavailable,
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

export interface ErrorAnswer {
  readonly status: number;
  /** Undefined where the shape has none. */
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Maps anything thrown to a status, body and headers.
 * @param shape what the client reads errors in
 * @param id    of the request, where the shape has a place for it
 */
export function toErrorAnswer(error: unknown, shape: ErrorShape = 'sglang', id = ''): ErrorAnswer {
  const { headers, ...failure } = describeFailure(error);
  return { ...shapeError(failure, shape, id), headers };
}

interface FailureAnswer extends Failure {
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Messages of 5xx failures are replaced by the catalogue's sentence: texts of the engine may hold paths or addresses, which are for
 * the log only.
 */
function describeFailure(error: unknown): FailureAnswer {
  if (error instanceof HttpRefusal) {
    const { status, message, type, headers, retry } = error;
    return answer(status, message, type, { ...(retry && retryHeadersFor(status)), ...headers });
  }
  if (error instanceof WgrankError) {
    const { status, type } = errorStatuses[error.code];
    const waitMs = error instanceof OverloadedError ? error.estimatedWaitMs : undefined;
    if (status < 500) return answer(status, error.message, type, retryHeadersFor(status, waitMs));
    const sentence = errorCatalogue[error.code];
    return answer(
      status,
      status === 500 ? `Internal server error: ${sentence}` : sentence,
      type,
      retryHeadersFor(status),
    );
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
): FailureAnswer {
  return { status, message, type, headers };
}

/** When a request that was refused with 429 or 503 is worth to be repeated. */
function retryHeadersFor(status: number, waitMs?: number): Readonly<Record<string, string>> {
  return status === 429 || status === 503 ? retryHeaders(waitMs) : {};
}

/** Express and body-parser mark their own refusals with `status`; only 4xx are taken at their word. */
function clientErrorStatus(error: unknown): number | undefined {
  const status: unknown = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

/** The last middleware: answers every failure in the shape of the request's dialect and logs what the client does not get to see. */
export function answerErrors(log: (line: string) => void): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const locals = localsOf(response);
    const { status, body, headers } = toErrorAnswer(error, locals.errors, locals.requestId ?? randomUUID());
    // A refusal ("still loading") is an answer, not a failure: probes would fill the log.
    if (isOwnFailure(error)) log(`${request.method} ${request.path} ${status}: ${describe(error)}`);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    response.status(status).set(headers);
    if (body === undefined) response.end();
    else response.json(body);
  };
}

function isOwnFailure(error: unknown): boolean {
  return !(error instanceof HttpRefusal) && describeFailure(error).status >= 500;
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
