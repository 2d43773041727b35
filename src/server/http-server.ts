import { createServer, STATUS_CODES, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Express } from 'express';
import type { ErrorBody } from './error-answer.ts';

/** Milliseconds, unless the name says otherwise. */
export interface HttpTimeouts {
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeout: number;
  /** From the first byte of a request to the end of its body; the answer may take longer. */
  readonly requestTimeout: number;
  /** Idle connections; longer than common balancers' 60 s, so that they close first. */
  readonly keepAliveTimeout: number;
  /** How often the first two are enforced. */
  readonly connectionsCheckingInterval: number;
}

export const defaultTimeouts: HttpTimeouts = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
};

/** Connections beyond this are dropped by Node before they cost anything. */
const maxConnections = 4096;
const maxRequestsPerSocket = 1000;

/**
 * A Node HTTP server with bounded patience that answers broken HTTP in SGLang's error shape too.
 * @param onBroken hears of what never became a request
 */
export function createHttpServer(
  app: Express,
  timeouts: HttpTimeouts = defaultTimeouts,
  onBroken: () => void = () => undefined,
): Server {
  const server = createServer({ ...timeouts }, app);
  server.maxConnections = maxConnections;
  server.maxRequestsPerSocket = maxRequestsPerSocket;
  server.on('clientError', (error, socket: Socket) => {
    onBroken();
    answerClientError(error, socket);
  });
  return server;
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
  const reason = STATUS_CODES[status] ?? 'Bad Request';
  const body: ErrorBody = { object: 'error', message: reason, type: reason, param: null, code: status };
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}
