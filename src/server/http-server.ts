import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Express } from 'express';
import type { ErrorBody } from './error-answer.ts';
import { cutSlowReaders } from './slow-readers.ts';

/** Milliseconds, unless the name says otherwise. */
export interface HttpTimeouts {
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeout: number;
  /** From the first byte of a request to the end of its body; the answer may take longer. */
  readonly requestTimeout: number;
  /** Idle connections; longer than common balancers' 60 s, so that they close first. */
  readonly keepAliveTimeout: number;
  /** How long a client may leave an answer lying; large ones longer, see `answerBytesPerSecond`. */
  readonly answerTimeout: number;
  /** How often the timeouts of headers, bodies and answers are enforced. */
  readonly connectionsCheckingInterval: number;
}

export const defaultTimeouts: HttpTimeouts = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  answerTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
};

/** The slowest line that an answer is kept for. */
const answerBytesPerSecond = 2 ** 16;
/** Connections beyond this are dropped by Node before they cost anything. */
const maxConnections = 4096;
const maxRequestsPerSocket = 1000;
/** How long a client may take to read why it was refused. */
const lingerMs = 1000;

/**
 * A Node HTTP server with bounded patience that answers broken HTTP in SGLang's error shape too.
 * @param onBroken hears of what never became a request
 */
export function createHttpServer(
  app: Express,
  timeouts: HttpTimeouts = defaultTimeouts,
  onBroken: () => void = () => undefined,
): Server {
  const { answerTimeout, ...ofNode } = timeouts;
  const count = countRequests();
  const answering = new WeakMap<Socket, ServerResponse>();
  // Node's own refusals have no bodies: of requests without Host, of other expectations than 100-continue, of the 1,001st request.
  const server = createServer({ ...ofNode, requireHostHeader: false }, (request, response) => {
    if (count(request.socket) >= maxRequestsPerSocket) response.setHeader('Connection', 'close');
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      onBroken();
      return refuse(response, 400);
    }
    toOriginForm(request);
    answering.set(request.socket, response);
    app(request, response);
  });
  server.maxConnections = maxConnections;
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    onBroken();
    refuse(response, 417);
  });
  server.on('clientError', (error, socket: Socket) => {
    onBroken();
    const answer = answering.get(socket);
    // In the middle of an answer another one would become part of it.
    if (answer?.headersSent && !answer.writableFinished) socket.destroy();
    else answerClientError(error, socket);
  });
  cutSlowReaders(server, {
    graceMs: answerTimeout,
    bytesPerSecond: answerBytesPerSecond,
    checkIntervalMs: timeouts.connectionsCheckingInterval,
  });
  return server;
}

function countRequests(): (socket: Socket) => number {
  const counts = new WeakMap<Socket, number>();
  return (socket) => {
    const count = (counts.get(socket) ?? 0) + 1;
    counts.set(socket, count);
    return count;
  };
}

/**
 * As proxies are asked, servers may be too: `GET http://host/path`. Express would answer those that it cannot read in HTML.
 * source: RFC 9112 §3.2.2: the target's authority replaces what the Host header says
 */
function toOriginForm(request: IncomingMessage): void {
  const [whole, authority] = /^[a-z][a-z\d+.-]*:\/\/([^/?]*)/i.exec(request.url ?? '') ?? [];
  if (whole === undefined) return;
  request.url = request.url!.slice(whole.length).replace(/^(?=\?|$)/, '/');
  request.headers.host = authority;
}

const statusOfParserError: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** There is no request and no response here, only the socket. */
function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusOfParserError[error.code ?? ''] ?? 400;
  const { reason, text } = refusalOf(status);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  // A client that does not close its side would keep the connection for ever.
  const lingering = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(lingering));
}

/** Before the application, in SGLang's shape. */
function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { Connection: 'close', 'Content-Type': 'application/json; charset=utf-8' });
  response.end(refusalOf(status).text);
}

function refusalOf(status: number) {
  const reason = STATUS_CODES[status] ?? 'Bad Request';
  const body: ErrorBody = { object: 'error', message: reason, type: reason, param: null, code: status };
  return { reason, text: JSON.stringify(body) };
}
