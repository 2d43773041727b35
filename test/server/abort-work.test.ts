import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { Admission } from '../../src/server/admission.ts';
import { createApp } from '../../src/server/app.ts';
import { FairQueue } from '../../src/server/fair-queue.ts';
import { tiered } from '../support/tier.ts';
import { listen, postRerank } from './fake-reranker.ts';
import { expectEmpty } from './queue-box.ts';
import { StubEngine } from './stub-engine.ts';

const aborts = tiered(200, 10_000);
/** Clients at a time that leave, and that stay: far more than the engine has at once. */
const clients = 40;
const neighbours = 30;
/** A pair takes this long, and the engine has two. */
const serviceMs = 10;

/** Where a client leaves, as a part of what it does. */
const stages = [
  'before its body',
  'within its body',
  'at once',
  'while it waits',
  'while it waits',
  'at any time',
] as const;

/** A number from 0 to below 1 for each call, the same in every run. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function serveSlowly() {
  const engine = new StubEngine({ serviceMs, info: { maxBatchTokens: 1 } });
  const queue = new FairQueue(engine, { maxQueuedCalls: 10_000, maxQueuedTokens: 1_000_000 });
  /** What has come as far as the queue. */
  const queued = new Set<number>();
  const encoder = {
    encode: async (_query: unknown, documents: readonly unknown[]) =>
      documents.map((text) => {
        queued.add(Number(text));
        return { ids: Int32Array.of(Number(text)), truncatedTokens: 0 };
      }),
    close: async () => undefined,
  };
  const admission = new Admission({ maxHeldBytes: 64 * 2 ** 20 });
  const app = await listen(createApp(createReranker({ engine: queue, encoder }), { admission }));
  const reached = (id: number) => engine.slices.some(({ pairs }) => pairs[0]!.ids[0] === id);
  return { engine, queue, admission, app, queued, reached };
}

async function open(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  socket.resume();
  return socket;
}

test(
  `${aborts} clients that leave at any stage: at least 99 % of what waits never reaches the engine, and nothing is held for them`,
  async () => {
    const { engine, queue, admission, app, queued, reached } = await serveSlowly();
    const random = makeRandom(3);
    /** Those whose work waited when the server learned that they had left. */
    const waited: number[] = [];
    const visitors = new Map<number, number>();
    app.server.on('connection', (socket) => {
      const port = socket.remotePort!;
      socket.once('close', () => {
        const id = visitors.get(port);
        if (id !== undefined && queued.has(id) && !reached(id)) waited.push(id);
      });
    });
    const stagesSeen = new Set<string>();
    let done = 0;
    let next = 1;

    /** One client that leaves. */
    const visit = async (id: number, stage: (typeof stages)[number]) => {
      const socket = await open(app.url);
      visitors.set(socket.localPort!, id);
      const body = JSON.stringify({ query: 'q', documents: [String(id)], padding: 'x'.repeat(5000 * random()) });
      const head = `POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      const sent = stage === 'before its body' ? 0 : stage === 'within its body' ? body.length / 2 : body.length;
      socket.write(head + body.slice(0, sent));
      if (stage === 'while it waits')
        await expect.poll(() => queued.has(id), { interval: 1, timeout: 20_000 }).toBe(true);
      else if (stage === 'at any time') await sleep(neighbours * serviceMs * random());
      else if (stage !== 'at once') await sleep(20 * random());
      if (socket.destroyed) throw new Error('the server closed a connection');
      stagesSeen.add(stage);
      socket.destroy();
      // Its port is free for the next one once the server has noticed.
      await once(socket, 'close');
      done++;
    };
    const crowd = Array.from({ length: clients }, async () => {
      while (next <= aborts) {
        const id = next++;
        await visit(id, stages[Math.floor(random() * stages.length)]!);
      }
    });
    // Those that stay are answered all the time.
    const run = { going: true };
    let answers = 0;
    const staying = Array.from({ length: neighbours }, async (_, i) => {
      while (run.going) {
        const response = await postRerank(app.url, { query: 'q', documents: [String(9_000_000 + i)] });
        expect(response.status).toBe(200);
        await response.json();
        answers++;
      }
    });
    await Promise.all(crowd);
    run.going = false;
    await Promise.all(staying);
    await expect.poll(() => queue.queue.openCalls + admission.stats.requests, { interval: 5 }).toBe(0);
    await expect.poll(() => engine.running, { interval: 5, timeout: 10_000 }).toBe(0);

    const worked = waited.filter(reached);
    console.log(
      `${done} aborts, ${waited.length} of work that waited: ${worked.length} reached the engine all the same; ` +
        `it had ${engine.slices.length} slices, ${answers} of them for clients that stayed`,
    );
    expect(done).toBe(aborts);
    expect(stagesSeen).toEqual(new Set<string>(stages));
    expect(waited.length).toBeGreaterThan(aborts / 8);
    expect(worked.length).toBeLessThanOrEqual(0.01 * waited.length);
    expect(answers).toBeGreaterThan(0);
    expectEmpty(queue);
    expect(admission.stats).toMatchObject({ heldBytes: 0, unfinishedBodies: 0, requests: 0 });
    await app.close();
  },
  60_000 + aborts * 60,
);
