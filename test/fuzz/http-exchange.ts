import { connect } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { HttpCase } from './http-cases.ts';
import { readAsNode, type SeenRequest } from './http-twin.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The request that it answers, where HTTP could read one. */
  readonly request: SeenRequest | undefined;
}

export interface Exchange {
  readonly answers: readonly HttpAnswer[];
  /** Requests that were whole, whose answers the server owes, unless it closes after one before them. */
  readonly owed: number;
  /** The system took the connection away, with whatever was on its way. */
  readonly reset: boolean;
  /** What the server did not do in its time. */
  readonly late: string | undefined;
  /** Bytes after the last whole answer. */
  readonly rest: string;
}

/** How long the server has for what it owes. */
const patienceMs = 10_000;
/** How long an early answer to half a request is waited for, before we say that nothing more comes. */
const pauseMs = 20;

/** Sends the bytes, waits for what they deserve, then ends our side and waits for the server to end its own. */
export async function exchange(port: number, { bytes, cuts, goneAfterMs }: HttpCase): Promise<Exchange> {
  const reading = await readAsNode(bytes);
  const owed = reading.requests.filter(({ complete }) => complete).length;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const received: Buffer[] = [];
  let over = false;
  let reset = false;
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  socket.on('error', () => (reset = true));
  let wake = () => undefined as void;
  for (const event of ['data', 'end', 'close', 'error']) socket.on(event, () => wake());
  for (const event of ['end', 'close']) socket.once(event, () => (over = true));
  const until = async (done: () => boolean): Promise<boolean> => {
    const end = performance.now() + patienceMs;
    while (!done()) {
      const left = end - performance.now();
      if (left <= 0) return false;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    return true;
  };
  let parsed = { count: -1, ...readAnswers(Buffer.alloc(0), reading.requests) };
  const look = () => {
    if (parsed.count !== received.length)
      parsed = { count: received.length, ...readAnswers(Buffer.concat(received), reading.requests) };
    return parsed;
  };
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    if (to > from) socket.write(bytes.subarray(from, to));
    from = to;
    if (cuts.length > 0) await turn();
  }
  if (goneAfterMs !== undefined) {
    await sleep(goneAfterMs);
    socket.destroy();
    return { answers: [], owed: 0, reset: true, late: undefined, rest: '' };
  }
  let late: string | undefined;
  if (owed > 0 && !(await until(() => over || look().answers.length >= owed)))
    late = `${look().answers.length} of ${owed} answers`;
  if (reading.ended && late === undefined && !(await until(() => over)))
    late = 'the end of a connection that is of no use';
  if (owed === 0 && !over) await sleep(pauseMs);
  socket.end();
  if (late === undefined && !(await until(() => over))) late = 'the end of a connection that we have ended';
  socket.destroy();
  const { answers, rest } = look();
  return { answers, owed, reset, late, rest };
}

/** Whole answers among the bytes, in their order. */
function readAnswers(bytes: Buffer, requests: readonly SeenRequest[]): { answers: HttpAnswer[]; rest: string } {
  const answers: HttpAnswer[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) break;
    const [statusLine, ...lines] = bytes.toString('latin1', at, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine!)?.[1]);
    if (Number.isNaN(status)) break;
    if (status < 200) {
      at = end + 4;
      continue;
    }
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const request = requests[answers.length];
    // HTTP that breaks off after a HEAD is refused by whoever no longer knows what was asked: with a body, and the end.
    const refused = bytes.toString('latin1', end + 4, end + 6) === '{"';
    const bodiless = (request?.method === 'HEAD' && !refused) || status === 304 || status === 204;
    const body = bodiless ? { text: '', end: end + 4 } : readBody(bytes, end + 4, headers);
    if (body === undefined) break;
    answers.push({ status, headers, body: body.text, request });
    at = body.end;
  }
  return { answers, rest: bytes.toString('latin1', at, at + 200) };
}

function readBody(bytes: Buffer, start: number, headers: ReadonlyMap<string, string>) {
  if (headers.get('transfer-encoding') !== 'chunked') {
    const end = start + Number(headers.get('content-length') ?? 0);
    return end > bytes.length ? undefined : { text: bytes.toString('utf8', start, end), end };
  }
  const chunks: Buffer[] = [];
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    const end = line + 2 + size + 2;
    if (end > bytes.length) return undefined;
    if (size === 0) return { text: Buffer.concat(chunks).toString(), end };
    chunks.push(bytes.subarray(line + 2, end - 2));
    at = end;
  }
}
