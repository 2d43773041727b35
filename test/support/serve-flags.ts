import type { ServeFlags } from '../../src/cli/serve-flags.ts';

/** Flags of a plain launch, for tests that change one or two. */
export const plainFlags: ServeFlags = {
  modelPath: 'm',
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
  example: false,
  ignored: [],
};
