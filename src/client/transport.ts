import { parseAnswer, factsOf, toApiError, type Received } from './error-answer.ts';
import {
  RerankApiError,
  RerankConnectionError,
  RerankInputError,
  RerankTimeoutError,
  type ResponseFacts,
} from './errors.ts';
import { passes, wait, waitBefore } from './retry.ts';

export interface RerankClientOptions {
  /** Of the server, with the path that a proxy has put in front, if any: `http://127.0.0.1:30000`. */
  readonly baseUrl: string | URL;
  /** Sent as `Authorization: Bearer …`. Default: none is sent. */
  readonly apiKey?: string | undefined;
  /** Default: the platform's own. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Of a whole call, repetitions and waits included, in milliseconds; default 60,000. `Infinity`: any time. */
  readonly timeoutMs?: number | undefined;
  /** How often a call is repeated at the most after 429, 503 or a broken connection; default 2. */
  readonly maxRetries?: number | undefined;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface CallOptions {
  /** Ends the call, its waits too; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Instead of the client's own. */
  readonly timeoutMs?: number | undefined;
}

/** A 2xx answer in JSON. */
export interface Answer {
  readonly json: unknown;
  readonly facts: ResponseFacts;
}

/** `setTimeout` fires at once for more. */
const longestTimerMs = 2 ** 31 - 1;

/** Sends requests, and sends them again where that helps. */
export class Transport {
  readonly #base: string;
  readonly #headers: Headers;
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;

  /** @throws RerankInputError */
  constructor(options: RerankClientOptions) {
    const { apiKey, fetch, headers = {}, timeoutMs = 60_000, maxRetries = 2 } = options;
    this.#base = readBaseUrl(options.baseUrl);
    this.#headers = readHeaders(headers, apiKey);
    // Browsers want their own fetch called on the global object.
    this.#fetch = fetch ?? ((...args) => globalThis.fetch(...args));
    this.#timeoutMs = checkTimeout(timeoutMs);
    if (!(Number.isInteger(maxRetries) && maxRetries >= 0))
      throw new RerankInputError(`[rerank client] maxRetries is ${maxRetries} (a whole number of at least 0)`);
    this.#maxRetries = maxRetries;
  }

  /**
   * @param body sent as JSON by POST; without: GET
   * @param maxRetries default: the client's own
   * @throws RerankClientError, one of its kinds; the signal's reason
   */
  async call(path: string, body: unknown, options: CallOptions, maxRetries = this.#maxRetries): Promise<Answer> {
    const timeoutMs = options.timeoutMs === undefined ? this.#timeoutMs : checkTimeout(options.timeoutMs);
    const endsAt = performance.now() + timeoutMs;
    const init = this.#describe(body);
    const stopping = new AbortController();
    const stop = () => stopping.abort(options.signal?.reason);
    if (options.signal?.aborted) stop();
    options.signal?.addEventListener('abort', stop, { once: true });
    const late = new RerankTimeoutError(`[rerank client] ${init.method} ${path}: no answer within ${timeoutMs} ms`);
    const timer = timeoutMs <= longestTimerMs ? setTimeout(() => stopping.abort(late), timeoutMs) : undefined;
    try {
      for (let attempt = 0; ; attempt++) {
        const outcome = await this.#attempt(path, { ...init, signal: stopping.signal });
        if (!(outcome instanceof Error)) return outcome;
        if (attempt >= maxRetries || !isPassing(outcome)) throw outcome;
        const retryAfterMs = outcome instanceof RerankApiError ? outcome.retryAfterMs : undefined;
        const waitMs = waitBefore(attempt, retryAfterMs, Math.random());
        // Who has to wait for longer than there is time hears now what the matter is.
        if (performance.now() + waitMs >= endsAt) throw outcome;
        await wait(waitMs, stopping.signal);
      }
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
    }
  }

  /** One request. @returns the failure instead of throwing it, save an abort */
  async #attempt(
    path: string,
    init: RequestInit & { readonly signal: AbortSignal },
  ): Promise<Answer | RerankApiError | RerankConnectionError> {
    let received: Received;
    try {
      init.signal.throwIfAborted();
      const response = await this.#fetch(this.#base + path, init);
      received = { response, text: await response.text() };
    } catch (cause) {
      init.signal.throwIfAborted();
      const what = `[rerank client] ${init.method} ${this.#base}${path}: no complete answer`;
      return new RerankConnectionError(`${what}${reasonOf(cause)}`, { cause });
    }
    if (!received.response.ok) return toApiError(received);
    return { json: parseAnswer(received), facts: factsOf(received.response) };
  }

  #describe(body: unknown) {
    if (body === undefined) return { method: 'GET', headers: this.#headers };
    const headers = new Headers(this.#headers);
    headers.set('content-type', 'application/json');
    try {
      return { method: 'POST', headers, body: JSON.stringify(body) };
    } catch (cause) {
      throw new RerankInputError('[rerank client] the request cannot be written as JSON', { cause });
    }
  }
}

const isPassing = (failure: RerankApiError | RerankConnectionError) =>
  failure instanceof RerankConnectionError || passes(failure.status);

/** Node says `fetch failed` and puts the reason below it. */
function reasonOf(error: unknown): string {
  const inner: unknown = error instanceof Error ? (error.cause ?? error) : error;
  return inner instanceof Error && inner.message !== '' ? ` (${inner.message})` : '';
}

function checkTimeout(timeoutMs: number): number {
  if (typeof timeoutMs === 'number' && timeoutMs > 0) return timeoutMs;
  throw new RerankInputError(`[rerank client] timeoutMs is ${String(timeoutMs)} (milliseconds above 0)`);
}

function readBaseUrl(baseUrl: string | URL): string {
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw badBaseUrl('an absolute URL is needed');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw badBaseUrl('http or https');
  if (url.username !== '' || url.password !== '') throw badBaseUrl('keys go into apiKey');
  if (url.search !== '' || url.hash !== '') throw badBaseUrl('no query and no fragment');
  return url.href.replace(/\/+$/, '');
}

/** The URL itself is not quoted: a password may stand in it. */
const badBaseUrl = (rule: string) =>
  new RerankInputError(`[rerank client] the base URL cannot be used (${rule}; such as http://127.0.0.1:30000)`);

function readHeaders(given: Readonly<Record<string, string>>, apiKey: string | undefined): Headers {
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new RerankInputError('[rerank client] the API key is empty or holds a character that no header can');
  let headers;
  try {
    headers = new Headers(given);
  } catch {
    // The platform's message quotes the value, which may be secret.
    throw new RerankInputError('[rerank client] headers hold a name or value that HTTP does not allow');
  }
  headers.set('accept', 'application/json');
  if (apiKey !== undefined) headers.set('authorization', `Bearer ${apiKey}`);
  return headers;
}
