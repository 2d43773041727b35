/** Whatever the client itself throws. An abort by the caller throws the signal's own reason, as `fetch` does. */
export class RerankClientError extends Error {
  override readonly name: string = 'RerankClientError';
}

/** The caller's mistake, found before anything was sent. */
export class RerankInputError extends RerankClientError {
  override readonly name = 'RerankInputError';
}

/** No connection, or it broke before the answer was complete. `cause` is what `fetch` said. */
export class RerankConnectionError extends RerankClientError {
  override readonly name = 'RerankConnectionError';
}

/** The call was not done in its time, repetitions and waits included. */
export class RerankTimeoutError extends RerankClientError {
  override readonly name = 'RerankTimeoutError';
}

export interface ResponseFacts {
  /** HTTP status. */
  readonly status: number;
  /** For the server's log: its `X-Request-Id`. */
  readonly requestId?: string | undefined;
}

/** An answer that is not the server's: a proxy's page, JSON that was cut off, a shape without the scores. */
export class RerankResponseError extends RerankClientError {
  override readonly name = 'RerankResponseError';
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(message: string, { status, requestId }: ResponseFacts, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.requestId = requestId;
  }
}

export interface ApiErrorFacts extends ResponseFacts {
  readonly type?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** The server refused, or failed: every status but 2xx. */
export class RerankApiError extends RerankClientError {
  override readonly name = 'RerankApiError';
  readonly status: number;
  /** The server's word for it, such as `BadRequestError`; undefined where something in front of it has answered. */
  readonly type: string | undefined;
  readonly requestId: string | undefined;
  /** When the server wants to be asked again, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { status, type, requestId, retryAfterMs }: ApiErrorFacts) {
    super(message);
    this.status = status;
    this.type = type;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}
