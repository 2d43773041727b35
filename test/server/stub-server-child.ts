// The whole server in a process of its own, as `wgrank serve` puts it together, over an engine that answers at once: log, metrics, key,
// queue and all. Prints its address; answers every message with its CPU time. Arguments: `tokenize`: texts become tokens, too;
// `key=…`: clients need it.
import { openSync, writeSync } from 'node:fs';
import { devNull } from 'node:os';
import process from 'node:process';
import { createRequestEncoder } from '../../src/rerank/create-request-encoder-node.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import type { EngineProcess } from '../../src/server/engine-process.ts';
import { createLogger } from '../../src/server/log.ts';
import { serve } from '../../src/server/serve.ts';
import { fakeInfo, fakeLogit } from '../support/fake-engine.ts';

const engine: EngineProcess = {
  info: fakeInfo,
  pid: process.pid,
  exited: new Promise(() => undefined),
  score: async (pairs) => Float32Array.from(pairs, ({ ids }) => fakeLogit(ids)),
  stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
  close: async () => undefined,
  kill: () => undefined,
};
const keys = process.argv.filter((word) => word.startsWith('key=')).map((word) => word.slice(4));
const lines = openSync(devNull, 'w');
const server = await serve(
  {
    models: [
      {
        modelDir: new URL('../../weights/tiny-bge-reranker', import.meta.url).pathname,
        model: 'tiny-bge-reranker',
        kind: 'cross-encoder',
        architecture: 'XLMRobertaForSequenceClassification',
        maxLength: 512,
        truncate: true,
      },
    ],
    host: '127.0.0.1',
    port: 0,
    access: { keys: new ApiKeys(keys) },
    requestTimeoutMs: 300_000,
    logger: createLogger({ level: 'info', format: 'json', destination: { write: (line) => writeSync(lines, line) } }),
  },
  {
    createReranker,
    spawnEngine: async () => engine,
    createEncoder: process.argv.includes('tokenize')
      ? createRequestEncoder
      : async () => ({
          encode: async (_query, documents) =>
            documents.map((text) => ({ ids: Int32Array.of(text.length, text.charCodeAt(0)), truncatedTokens: 0 })),
          close: async () => undefined,
        }),
  },
);
await server.ready;
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send!((user + system) / 1000);
});
process.on('disconnect', () => process.exit(0));
process.send!(server.url);
