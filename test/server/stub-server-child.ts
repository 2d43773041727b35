// The HTTP side in a process of its own, over an engine that answers at once. Prints its address; answers every message with its CPU time.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import express from 'express';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { Admission } from '../../src/server/admission.ts';
import { createApp } from '../../src/server/app.ts';
import { answerErrors } from '../../src/server/error-answer.ts';
import { FairQueue } from '../../src/server/fair-queue.ts';
import { createHttpServer } from '../../src/server/http-server.ts';
import type { Engine } from '../../src/rerank/engine.ts';
import { fakeInfo, fakeLogit } from '../support/fake-engine.ts';

const engine: Engine = {
  info: fakeInfo,
  score: async (pairs) => Float32Array.from(pairs, ({ ids }) => fakeLogit(ids)),
  stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
  close: async () => undefined,
};
const queue = new FairQueue(engine);
const reranker = createReranker({
  engine: queue,
  encoder: {
    encode: async (_query, documents) =>
      documents.map((text) => ({ ids: Int32Array.of(text.length, text.charCodeAt(0)), truncatedTokens: 0 })),
    close: async () => undefined,
  },
});
const admission = new Admission({ maxHeldBytes: 2 ** 26, refusal: () => queue.refusal() });
const app = express();
app.use(admission.admitBody, createApp(reranker), answerErrors(console.error));
const server = createHttpServer(app);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send!((user + system) / 1000);
});
process.on('disconnect', () => process.exit(0));
process.send!(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
