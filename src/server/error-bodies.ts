/** Shapes that clients know errors in. `superset` has the keys that all of them read, for routes that any of them may ask. */
export type ErrorShape = 'sglang' | 'openai' | 'superset' | 'vllm' | 'cohere' | 'voyage' | 'tei';

/** SGLang's flat error object; `code` equals the HTTP status. */
export interface ErrorBody {
  readonly object: 'error';
  readonly message: string;
  readonly type: string;
  readonly param: null;
  readonly code: number;
}

/** A failure before it has a shape. */
export interface Failure {
  readonly status: number;
  readonly message: string;
  readonly type: string;
}

interface ShapedError {
  readonly status: number;
  /** Undefined: no body at all. */
  readonly body: unknown;
}

/** @param id of the request, where the shape has a place for it */
export function shapeError(failure: Failure, shape: ErrorShape, id: string): ShapedError {
  return shapes[shape](failure, id);
}

const shapes: Readonly<Record<ErrorShape, (failure: Failure, id: string) => ShapedError>> = {
  sglang: (failure) => ({ status: failure.status, body: flatError(failure) }),
  openai: (failure) => ({ status: failure.status, body: { ...flatError(failure), error: openAiError(failure) } }),
  vllm: (failure) => ({ status: failure.status, body: { error: openAiError(failure) } }),
  cohere: ({ status, message }, id) => ({ status, body: { id, message } }),
  voyage: ({ status, type, message }) => ({
    status: type === 'NotFoundError' ? 400 : status,
    body: { detail: message },
  }),
  superset: (failure, id) => {
    const { status, message } = failure;
    return { status, body: { error: openAiError(failure), message, detail: message, id } };
  },
  tei: shapeTeiError,
};

export const flatError = ({ status, message, type }: Failure): ErrorBody => ({
  object: 'error',
  message,
  type,
  param: null,
  code: status,
});

const openAiError = ({ status, message, type }: Failure) => ({ message, type, param: null, code: status });

/** What a body as such does wrong has the statuses of HTTP, with TEI too; what its values do wrong is 422. */
const teiStatuses: Readonly<Record<string, number>> = { BadRequestError: 422, InternalServerError: 424 };

/** source: TEI router/src/http/server.rs: Unhealthy 503, Backend 424, Overloaded 429, Validation 422, Empty 400; a wrong key: no body */
function shapeTeiError({ status: before, message, type }: Failure): ShapedError {
  const status = teiStatuses[type] ?? before;
  return { status, body: status === 401 ? undefined : { error: message, error_type: teiErrorType(status, type) } };
}

function teiErrorType(status: number, type: string): string {
  if (type === 'Empty') return type;
  if (status === 429) return 'Overloaded';
  if (status === 503) return 'Unhealthy';
  return status === 424 || status > 503 ? 'Backend' : 'Validation';
}
