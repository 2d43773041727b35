import type { ServeFlags } from '../../src/cli/serve-flags.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';

/** Flags of a plain launch, for tests that change one or two. */
export const plainFlags: ServeFlags = {
  modelPaths: ['m'],
  host: '127.0.0.1',
  port: 30000,
  isEmbedding: false,
  dtype: 'auto',
  servedModelName: undefined,
  maxLength: undefined,
  truncate: true,
  chatTemplate: undefined,
  escapeSpecialTokens: false,
  maxBatchTokens: undefined,
  maxBodyBytes: undefined,
  maxDocuments: 10,
  tokenizerWorkers: undefined,
  media: {},
  access: { keys: new ApiKeys([]), insecure: false, corsOrigins: [], allowedHosts: [] },
  operation: {
    apiDialect: 'sglang',
    maxQueueTokens: undefined,
    maxQueueRequests: 512,
    requestTimeoutMs: 300_000,
    drainTimeoutMs: 20_000,
    metricsPort: undefined,
    logLevel: 'info',
    logFormat: 'auto',
  },
  example: false,
  ignored: [],
};
