/**
 * Sends rerank requests from a process of its own and prints what became of them. It shares the processors with the server, so it
 * does next to nothing: bytes of the request are made once, and of an answer it reads the status, the length and when to come back.
 * argv: JSON of `LoadPlan`. stdout: one JSON array of `LoadResult`.
 */
import { connect, type Socket } from 'node:net';
import type { LoadPlan, LoadResult } from './load.ts';

const plan = JSON.parse(process.argv[2]!) as LoadPlan;
const { hostname, port, host } = new URL(plan.url);
const body = JSON.stringify(plan.body);
const lines = Object.entries({
  host,
  'content-type': 'application/json',
  'content-length': Buffer.byteLength(body),
  ...plan.headers,
});
const request = Buffer.from(
  `POST /v1/rerank HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
);

const results: LoadResult[] = [];
const idle: Connection[] = [];
let start = 0;

/** One request at a time. */
class Connection {
  readonly #socket: Socket;
  #dueAt = 0;
  #done: (() => void) | undefined;
  #head = '';
  /** Bytes of the answer's body that are still to come. */
  #left = -1;
  #status = 0;
  #retryAfterMs = 0;
  #last = false;

  constructor() {
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#end(0));
  }

  send(dueAt: number, done: () => void): void {
    this.#dueAt = dueAt;
    this.#done = done;
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#left >= 0) this.#left -= chunk.length;
    else {
      this.#head += chunk.toString('latin1');
      const bodyAt = this.#head.indexOf('\r\n\r\n') + 4;
      if (bodyAt < 4) return;
      const head = this.#head.slice(0, bodyAt);
      this.#left = Number(/\r\ncontent-length: (\d+)/i.exec(head)![1]) - (this.#head.length - bodyAt);
      this.#status = Number(head.slice(9, 12));
      this.#retryAfterMs = this.#status === 200 ? 0 : Number(/\r\nretry-after-ms: (\d+)/i.exec(head)?.[1]);
      this.#last = /\r\nconnection: close/i.test(head);
    }
    if (this.#left === 0) this.#end(this.#status);
  }

  #end(status: number): void {
    const done = this.#done;
    if (done === undefined) {
      const at = idle.indexOf(this);
      if (at >= 0) idle.splice(at, 1);
      return;
    }
    const sentAt = this.#dueAt - start;
    const ms = performance.now() - this.#dueAt;
    results.push({ status, sentAt, ms, ...(this.#retryAfterMs > 0 && { retryAfterMs: this.#retryAfterMs }) });
    this.#done = undefined;
    this.#head = '';
    this.#left = -1;
    if (status === 0 || this.#last) this.close();
    else idle.push(this);
    done();
  }
}

/** @param dueAt when it should have been sent */
function send(dueAt: number): Promise<void> {
  return new Promise((resolve) => (idle.pop() ?? new Connection()).send(dueAt, resolve));
}

/** Arrivals come when they are due, whatever became of those before. */
async function sendAtRate(perSecond: number, length: number): Promise<void> {
  const pending: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsed = Math.min(performance.now() - start, length);
      while (pending.length < (elapsed * perSecond) / 1000)
        pending.push(send(start + (pending.length / perSecond) * 1000));
      if (elapsed < length) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(pending);
}

/** The next request is sent when the one before is answered. */
async function sendInTurn(length: number): Promise<void> {
  while (performance.now() - start < length) await send(performance.now());
}

async function run(seconds: number): Promise<void> {
  start = performance.now();
  const length = seconds * 1000;
  if (plan.perSecond !== undefined) await sendAtRate(plan.perSecond, length);
  else await Promise.all(Array.from({ length: plan.connections ?? 1 }, () => sendInTurn(length)));
}

// The compilers of both sides get to know the work: it is not among the results.
if (plan.warmUpSeconds !== undefined) await run(plan.warmUpSeconds);
results.length = 0;
process.send?.('measured from here on');
await run(plan.seconds);
process.send?.('measured');
process.stdout.write(JSON.stringify(results), () => process.exit(0));
