import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface ReadingRules {
  /** Milliseconds that a client may leave an answer lying. */
  readonly graceMs: number;
  /** Beyond the grace, an answer of many bytes has the time that a slow line needs for them. */
  readonly bytesPerSecond: number;
  /** Milliseconds between two looks: a client is cut so much later at the most. */
  readonly checkIntervalMs: number;
}

interface Watch {
  /** Bytes that the system had taken at the last progress. */
  taken: number;
  /** `performance.now()` of the last progress. */
  since: number;
}

/**
 * Ends connections whose clients do not read their answers: Node waits for them for ever, with the answer in memory.
 * Bytes that the system has taken count as read, so small answers never wait here; their connections are idle ones.
 */
export function cutSlowReaders(server: Server, { graceMs, bytesPerSecond, checkIntervalMs }: ReadingRules): void {
  const watches = new Map<Socket, Watch>();
  server.on('connection', (socket: Socket) => {
    watches.set(socket, { taken: 0, since: performance.now() });
    socket.once('close', () => watches.delete(socket));
  });
  const look = () => {
    const now = performance.now();
    for (const [socket, watch] of watches) {
      const waiting = socket.writableLength;
      const taken = socket.bytesWritten - waiting;
      // A large answer is one write, of which nothing is heard until its last byte is taken: hence the time for its bytes.
      if (waiting === 0 || taken !== watch.taken) Object.assign(watch, { taken, since: now });
      else if (now - watch.since > graceMs + (waiting / bytesPerSecond) * 1000) socket.destroy();
    }
  };
  const looking = setInterval(look, checkIntervalMs).unref();
  server.once('close', () => clearInterval(looking));
}
