import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { tiered } from '../support/tier.ts';
import { watchReadiness } from './watch-readiness.ts';

/** Every trial is a `serve` process of its own, with a fake engine that takes 0 or 200 ms. */
const trials = tiered(10, 200);
const callers = 12;
const notReadyWithinMs = 100;
const drainLimitMs = 5000;

const running: ChildProcess[] = [];
afterEach(() => running.splice(0).forEach((child) => child.kill('SIGKILL')));

async function start(limitMs = drainLimitMs) {
  const holder = fileURLToPath(new URL('./cli-holder.ts', import.meta.url));
  const args = ['--import', 'tsx', holder, 'serve', 'm', '--port', '0', '--drain-timeout-ms', String(limitMs)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  running.push(child);
  const exit = once(child, 'close').then(([code]) => code as number | null);
  let heard = '';
  child.stderr.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  await expect.poll(() => heard, { interval: 5, timeout: 20_000 }).toContain('ready after');
  return { child, exit, url: /at (http:\S+)/.exec(heard)![1]! };
}

interface Outcome {
  /** When the request was on its way, on performance.now(). */
  readonly sentAt: number;
  /** 0: no answer. */
  readonly status: number;
  readonly error?: string;
  /** Whether any of an answer had come. */
  readonly begun: boolean;
  /** Sent on a connection that had been used before: the server may close that at any moment, and says so by not answering. */
  readonly reused: boolean;
}

function ask(url: string, document: string, agent: Agent | false): Promise<Outcome> {
  return new Promise((resolve) => {
    const sentAt = performance.now();
    const headers = { 'content-type': 'application/json' };
    const asked = request(`${url}/v1/rerank`, { method: 'POST', headers, agent });
    let begun = false;
    const end = (status: number, error?: string) =>
      resolve({ sentAt, status, begun, reused: asked.reusedSocket, ...(error && { error }) });
    asked.on('error', (error: NodeJS.ErrnoException) => end(0, error.code ?? error.message));
    asked.on('response', (response) => {
      begun = true;
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('error', (error) => end(0, error.message));
      // An answer that breaks off is none.
      response.on('end', () => (text.endsWith(']') || text.endsWith('}') ? end(response.statusCode!) : end(0, 'cut')));
    });
    asked.end(JSON.stringify({ query: 'q', documents: [document] }));
  });
}

/** Half of the callers keep their connections, half open one for each request; they go on until they are refused. */
function applyLoad(url: string, document: string | undefined) {
  const outcomes: Outcome[] = [];
  const callersDone = Array.from({ length: callers }, async (_, caller) => {
    const agent = caller % 2 === 0 && new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; ; i++) {
      const outcome = await ask(url, document ?? ((i + caller) % 3 === 0 ? 'slow' : 'quick'), agent);
      outcomes.push(outcome);
      if (outcome.status === 0) break;
      await sleep(((i * 13 + caller * 7) % 5) * 4);
    }
    if (agent) agent.destroy();
  });
  return { outcomes, done: Promise.all(callersDone) };
}

/**
 * What was sent before the signal is answered, on whichever connection. Later the door may be shut: a new connection is refused, one
 * that was used before is closed, and both without a part of an answer.
 */
function isLost({ status, sentAt, begun, reused, error }: Outcome, signalledAt: number): boolean {
  if (status === 200) return false;
  if (status !== 0 || begun || sentAt < signalledAt) return true;
  return !reused && error !== 'ECONNREFUSED' && error !== 'ECONNRESET';
}

test(
  `${trials} SIGTERMs under load: no accepted request is lost, not ready within ${notReadyWithinMs} ms, exit 0 within the limit`,
  async () => {
    const notReady: number[] = [];
    const drains: number[] = [];
    const lost: unknown[] = [];
    let answered = 0;
    for (let trial = 0; trial < trials; trial++) {
      const { child, exit, url } = await start();
      const load = applyLoad(url, undefined);
      const watch = watchReadiness(url);
      await watch.next(200, 0);
      await sleep(150 + ((trial * 61) % 200));
      const signalledAt = performance.now();
      child.kill('SIGTERM');
      // Refused connections say it as well as a 503.
      const told = await Promise.race([watch.next(503, signalledAt), watch.next(0, signalledAt)]);
      notReady.push(told - signalledAt);
      expect(await exit).toBe(0);
      drains.push(performance.now() - signalledAt);
      await load.done;
      await watch.end();
      for (const outcome of load.outcomes)
        if (isLost(outcome, signalledAt)) lost.push({ trial, signalledAt, ...outcome });
      answered += load.outcomes.filter(({ status }) => status === 200).length;
    }
    const [slowestTold, slowestDrain] = [notReady, drains].map((times) => Math.round(Math.max(...times)));
    console.log(
      `${trials} drains: ${answered} answers, not ready after ${slowestTold} ms, gone after ${slowestDrain} ms at the most`,
    );
    expect(lost).toEqual([]);
    expect(answered).toBeGreaterThan(callers * trials);
    expect(slowestDrain).toBeLessThanOrEqual(drainLimitMs);
  },
  60_000 + trials * 10_000,
);

test('requests that outlast the limit are cut: exit 1, at the limit', async () => {
  const limitMs = 600;
  const { child, exit, url } = await start(limitMs);
  const hanging = ask(url, 'hang', false);
  await sleep(200);
  const signalledAt = performance.now();
  child.kill('SIGTERM');
  expect(await exit).toBe(1);
  const took = performance.now() - signalledAt;
  expect(took).toBeGreaterThanOrEqual(limitMs - 20);
  // The engine's process is ended after the cut.
  expect(took).toBeLessThan(limitMs + 1000);
  expect(await hanging).toMatchObject({ status: 0 });
});

test('a second SIGTERM under load ends it at once with 143', async () => {
  const { child, exit, url } = await start();
  const load = applyLoad(url, 'slower');
  await sleep(200);
  child.kill('SIGTERM');
  await sleep(100);
  const signalledAt = performance.now();
  child.kill('SIGTERM');
  expect(await exit).toBe(143);
  expect(performance.now() - signalledAt).toBeLessThan(500);
  await load.done;
});
