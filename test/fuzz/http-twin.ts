import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Its body is there to its end. */
  complete: boolean;
}

/** What Node's HTTP parser makes of some bytes. */
export interface Reading {
  /** In their order; those that HTTP itself cannot read are not among them. */
  readonly requests: readonly SeenRequest[];
  /** The bytes make a server hang up: they are no HTTP, or ask for it. */
  readonly ended: boolean;
}

/**
 * A server of the same parser, with an application that answers everything at once. It tells whether bytes are whole requests, which
 * have to be answered, or the beginning of one, for whose rest a server waits rightly.
 */
export async function readAsNode(bytes: Uint8Array): Promise<Reading> {
  const requests: SeenRequest[] = [];
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    const seen: SeenRequest = { method: request.method!, url: request.url!, complete: false };
    requests.push(seen);
    request.resume();
    request.once('end', () => {
      seen.complete = true;
      response.end();
    });
    request.once('error', () => undefined);
  });
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  let ended = false;
  server.on('clientError', (_error, socket) => {
    ended = true;
    socket.destroy();
  });
  const line = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  line.on('error', () => undefined);
  server.emit('connection', line);
  line.push(bytes);
  for (let quiet = 0, before = -1; quiet < 3; quiet++) {
    await turn();
    const now = requests.length + requests.filter(({ complete }) => complete).length;
    if (now !== before) quiet = 0;
    before = now;
  }
  ended ||= line.destroyed || line.writableEnded;
  line.destroy();
  return { requests, ended };
}
