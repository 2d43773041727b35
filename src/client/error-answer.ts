import { isRecord, type Fields } from './answer-reader.ts';
import { RerankApiError, RerankResponseError, type ResponseFacts } from './errors.ts';
import { readRetryAfter } from './retry.ts';

/** An answer as it came. */
export interface Received {
  readonly response: Response;
  readonly text: string;
}

export function factsOf({ status, headers }: Response): ResponseFacts {
  return { status, requestId: headers.get('x-request-id') ?? undefined };
}

/** What a 2xx answer says. @throws RerankResponseError for anything but JSON */
export function parseAnswer({ response, text }: Received): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words are about characters; what came instead is what helps.
    throw new RerankResponseError(
      `[rerank client] the answer is not JSON: ${describe({ response, text })}`,
      factsOf(response),
    );
  }
}

/** Any status but 2xx: in one of the server's shapes, or whatever something in front of it has answered. */
export function toApiError(received: Received): RerankApiError {
  const { response, text } = received;
  const { status, requestId } = factsOf(response);
  const body = parseObject(text);
  const inner = isRecord(body['error']) ? body['error'] : body;
  const message =
    textOf(inner['message']) ?? textOf(body['message']) ?? textOf(body['error']) ?? textOf(body['detail']);
  return new RerankApiError(
    message === undefined
      ? `HTTP ${status}, and not in the words of a wgrank server: ${describe(received)}`
      : `HTTP ${status}: ${message}`,
    {
      status,
      type: textOf(inner['type']),
      requestId: requestId ?? textOf(body['id']),
      retryAfterMs: readRetryAfter(response.headers, Date.now()),
    },
  );
}

function parseObject(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

function describe({ response, text }: Received): string {
  const type = response.headers.get('content-type') ?? 'no content type';
  const begins = JSON.stringify(text.slice(0, 80).replaceAll(/\s+/g, ' '));
  return text === '' ? `${type}, empty` : `${type}, ${text.length} characters that begin ${begins}`;
}
