/**
 * Sends rerank requests from a process of its own and prints what became of them.
 * argv: JSON of `LoadPlan`. stdout: one JSON array of `LoadResult`.
 */
import { Agent, request } from 'node:http';
import { warmUpRequests, type LoadPlan, type LoadResult } from './load.ts';

const plan = JSON.parse(process.argv[2]!) as LoadPlan;
const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity });
const results: LoadResult[] = [];
let start = 0;
const body = Buffer.from(JSON.stringify(plan.body));
const { hostname, port } = new URL(plan.url);
const headers = { 'content-type': 'application/json', 'content-length': body.length, ...plan.headers };

/** @param since when it should have been sent */
function send(since: number): Promise<void> {
  return new Promise((resolve) => {
    const end = (status: number, retryAfterMs?: number) => {
      results.push({
        status,
        sentAt: since - start,
        ms: performance.now() - since,
        ...(retryAfterMs && { retryAfterMs }),
      });
      resolve();
    };
    const asked = request({ hostname, port, agent, method: 'POST', path: '/v1/rerank', headers }, (response) => {
      response.resume();
      response.once('end', () => end(response.statusCode!, Number(response.headers['retry-after-ms']) || undefined));
      response.once('error', () => end(0));
    });
    asked.once('error', () => end(0));
    asked.end(body);
  });
}

// What the first requests cost this process is not the server's.
for (let i = 0; i < warmUpRequests; i++) await send(performance.now());
results.length = 0;
start = performance.now();
const length = plan.seconds * 1000;

/** Arrivals come when they are due, whatever became of those before. */
async function sendAtRate(perSecond: number): Promise<void> {
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
async function sendInTurn(): Promise<void> {
  while (performance.now() - start < length) await send(performance.now());
}

if (plan.perSecond !== undefined) await sendAtRate(plan.perSecond);
else await Promise.all(Array.from({ length: plan.connections ?? 1 }, sendInTurn));
process.stdout.write(JSON.stringify(results), () => process.exit(0));
