import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { createApp } from '../../src/server/app.ts';
import { FairQueue } from '../../src/server/fair-queue.ts';
import { tiered } from '../support/tier.ts';
import { listen, postRerank } from './fake-reranker.ts';
import { StubEngine } from './stub-engine.ts';

const deadlines = tiered([200, 500, 1000, 2000], [200, 300, 500, 1000, 2000, 3000, 5000]);
const requests = tiered(25, 200);
const lateByMs = 100;

/** How much later than the deadline the stalled engine goes on. */
const stallBeyondMs = 400;

/** Sends a request by hand. @returns everything that came on its connection until well after the engine went on */
async function ask(url: string, id: number, waitMs: number) {
  // One after the other: what a burst costs is no matter of deadlines.
  await sleep(id * 10);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  const body = JSON.stringify({ query: 'q', documents: [String(id)] });
  const sentAt = performance.now();
  socket.write(
    `POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  let heard = '';
  let tookMs: number | undefined;
  socket.on('data', (chunk) => {
    tookMs ??= performance.now() - sentAt;
    heard += chunk.toString();
  });
  await sleep(waitMs);
  socket.destroy();
  return { heard, tookMs };
}

test.each(deadlines)(
  `a stalled engine and a deadline of %i ms: every answer is 504 within ${lateByMs} ms of it, and no late result is sent`,
  async (requestTimeoutMs) => {
    // It goes on later, and with what was aborted too, as a GPU does.
    let stalled = false;
    const engine = new StubEngine({
      serviceMs: () => (stalled ? requestTimeoutMs + stallBeyondMs : 0),
      ignoresAbort: true,
      info: { maxBatchTokens: 1 },
    });
    const queue = new FairQueue(engine);
    const encoder = {
      encode: async (_query: unknown, documents: readonly unknown[]) =>
        documents.map((text) => ({ ids: Int32Array.of(Number(text)), truncatedTokens: 0 })),
      close: async () => undefined,
    };
    const app = await listen(createApp(createReranker({ engine: queue, encoder }), { requestTimeoutMs }));
    // What a server does for the first time takes longer.
    for (let i = 0; i < 20; i++) expect((await postRerank(app.url, { query: 'q', documents: ['1'] })).status).toBe(200);
    stalled = true;
    const warm = engine.slices.length;
    const waitMs = requestTimeoutMs + stallBeyondMs + 300;
    const answers = await Promise.all(Array.from({ length: requests }, (_, id) => ask(app.url, id, waitMs)));
    const times = answers.map(({ tookMs }) => tookMs ?? Infinity);
    console.log(`deadline ${requestTimeoutMs} ms: answered after ${Math.round(Math.max(...times))} ms at the most`);
    for (const { heard } of answers) {
      expect(heard).toMatch(/^HTTP\/1\.1 504 /);
      // One answer and nothing after it.
      expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(heard).not.toContain('"score"');
    }
    expect(Math.max(...times)).toBeLessThanOrEqual(requestTimeoutMs + lateByMs);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(requestTimeoutMs - 5);
    // The engine had two at once, and none of the others after their time.
    expect(engine.slices.length - warm).toBeLessThanOrEqual(2);
    expect(queue.queue).toMatchObject({ openCalls: 0, waitingCalls: 0, waitingTokens: 0 });
    await app.close();
  },
);
