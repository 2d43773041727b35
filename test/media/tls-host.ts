import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import { createSourceReader, type SourceReader, type SourceReaderOptions } from '../../src/media/read-source-node.ts';

const file = (name: string): string => readFileSync(new URL(`fixtures/tls/${name}`, import.meta.url), 'utf8');
/** Trusts the certificate of the host below: images.example.org, cdn.example.org and 127.0.0.1. */
export const authority = file('ca.pem');

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An https server on 127.0.0.1 that images.example.org leads to, and a reader that may fetch from it. */
export interface TlsHost {
  readonly port: number;
  readonly requests: readonly IncomingMessage[];
  /** Names that were looked up. */
  readonly lookups: readonly string[];
  /** Sockets that are open. */
  readonly sockets: ReadonlySet<Socket>;
  url(path: string): string;
  /** Sets what answers from now on, and forgets earlier requests. */
  handle(handler?: Handler): void;
  reader(options?: SourceReaderOptions): SourceReader;
  close(): Promise<void>;
}

const sendPicture: Handler = (_, response) => response.end('picture');

export async function startTlsHost(): Promise<TlsHost> {
  const requests: IncomingMessage[] = [];
  const lookups: string[] = [];
  const sockets = new Set<Socket>();
  let current = sendPicture;
  const server = createServer({ cert: file('server.pem'), key: file('server.key') }, (request, response) => {
    requests.push(request);
    current(request, response);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    port,
    requests,
    lookups,
    sockets,
    url: (path) => `https://images.example.org:${port}${path}`,
    handle(handler = sendPicture) {
      current = handler;
      requests.length = 0;
      lookups.length = 0;
    },
    reader: (options = {}) =>
      createSourceReader({
        mediaAllow: [`images.example.org:${port}`],
        ...options,
        dialForTests: {
          ca: authority,
          treatAsPublic: ['127.0.0.1'],
          lookup: (name) => {
            lookups.push(name);
            return Promise.resolve(['127.0.0.1']);
          },
          ...options.dialForTests,
        },
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
