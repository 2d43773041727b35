import { once } from 'node:events';
import { type AddressInfo, createServer, Socket, type Server } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { vi } from 'vitest';

/** Listeners that nobody may reach, and a watch over every socket of this process that tries to connect anywhere. */
export interface Canaries {
  /** Ports listened on, on each of the addresses. */
  readonly ports: readonly number[];
  readonly addresses: readonly string[];
  /** Where sockets of this process tried to connect, listener or not, since the last call. */
  takeAttempts(): string[];
  /** Connections that arrived since the last call; waits for those on their way. */
  takeArrivals(): Promise<string[]>;
  close(): Promise<void>;
}

/** The ports that URLs mean when they name none; where the system gives them away only. */
const wellKnownPorts = [80, 443, 8080];

export async function startCanaries(): Promise<Canaries> {
  const arrivals: string[] = [];
  const servers: Server[] = [];
  const addresses = new Set<string>();
  const ports = new Set<number>();

  async function listen(host: string, port: number): Promise<number | undefined> {
    const server = createServer((socket) => {
      arrivals.push(`${host}:${(server.address() as AddressInfo).port}`);
      socket.destroy();
    });
    server.listen({ host, port, ipv6Only: host.includes(':') });
    try {
      await once(server, 'listening');
    } catch {
      return undefined;
    }
    servers.push(server);
    addresses.add(host);
    const bound = (server.address() as AddressInfo).port;
    ports.add(bound);
    return bound;
  }

  const first = await listen('127.0.0.1', 0);
  const second = await listen('127.0.0.1', 0);
  for (const host of ['127.0.0.2', '::1']) for (const port of [first, second]) await listen(host, port!);
  for (const host of ['127.0.0.1', '::1']) for (const port of wellKnownPorts) await listen(host, port);

  const attempts: string[] = [];
  // oxlint-disable-next-line typescript/unbound-method -- called with its own `this` below
  const { connect } = Socket.prototype;
  const spy = vi.spyOn(Socket.prototype, 'connect').mockImplementation(function (this: Socket, ...args: unknown[]) {
    const [first] = args.flat() as [unknown];
    attempts.push(typeof first === 'object' ? JSON.stringify(first, ['port', 'host', 'path']) : String(first));
    return (connect as (...args: unknown[]) => Socket).apply(this, args);
  });

  return {
    ports: [...ports],
    addresses: [...addresses],
    takeAttempts: () => attempts.splice(0),
    takeArrivals: async () => {
      await setTimeout(20);
      return arrivals.splice(0);
    },
    async close() {
      spy.mockRestore();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
