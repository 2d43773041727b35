import { setTimeout as sleep } from 'node:timers/promises';
import { WgrankError, type ErrorCode } from '../../src/errors.ts';
import type { Engine, EngineInfo, EngineOptions } from '../../src/rerank/engine.ts';

/**
 * An engine without a GPU for tests of the server. Its score is a plain function of the token ids, and the first id of the first
 * pair can ask for trouble, so that a test drives it from the other side of a process boundary.
 */
export const trouble = {
  /** Never answers until aborted. */
  hang: -1,
  /** Rejects with the code `device-lost`. */
  deviceLost: -2,
  /** Rejects with an error without a code. */
  unnamed: -3,
  /** Ends the process. */
  exit: -4,
  /** Answers after 200 ms. */
  slow: -5,
  /** Answers after 1,500 ms: long enough to be in flight for certain when a test acts on another process. */
  slower: -7,
  /** Rejects with `device-lost`, and the engine can score no more. */
  dead: -8,
  /** Blocks the process's event loop for good. */
  spin: -6,
} as const;

/** The score that every test expects for a pair. */
export function fakeLogit(ids: Int32Array): number {
  return Math.fround(ids.reduce((sum, id) => (sum * 31 + id) % 1009, 7) / 100 - 5);
}

export const fakeInfo: EngineInfo = {
  model: 'fake/tiny-reranker',
  kind: 'cross-encoder',
  architecture: 'FakeForSequenceClassification',
  dtype: 'f32',
  activation: 'identity',
  adapter: 'no adapter (fake)',
  software: true,
  maxTokens: 512,
  maxBatchTokens: 16384,
  warnings: ['this engine is fake'],
};

/** `options.model` of the form `fail:CODE` makes loading fail, `load-exit` ends the process, `load-hang` never ends. */
export async function loadEngine(options: EngineOptions): Promise<Engine> {
  const model = options.model ?? options.modelDir;
  if (model.startsWith('fail:')) throw new WgrankError(model.slice(5) as ErrorCode, 'fake', 'loading fails as asked');
  if (model === 'fail-unnamed') throw new TypeError('loading fails without a name');
  if (model === 'load-exit') process.exit(3);
  if (model === 'load-hang') await sleep(2 ** 30);
  let fail!: (reason: Error) => void;
  const failed = new Promise<Error>((resolve) => (fail = resolve));
  let batches = 0;
  let aborts = 0;
  return {
    info: {
      ...fakeInfo,
      model,
      maxTokens: options.maxLength ?? fakeInfo.maxTokens,
      maxBatchTokens: options.maxBatchTokens ?? fakeInfo.maxBatchTokens,
    },
    async score(pairs, signal) {
      batches++;
      signal?.addEventListener('abort', () => aborts++, { once: true });
      await misbehave(pairs[0]?.ids[0], signal, fail);
      return Float32Array.from(pairs, (pair) => fakeLogit(pair.ids));
    },
    // `queuedPairs` reports the aborts seen, which a test has no other way to learn from the outside.
    stats: async () => ({ queuedPairs: aborts, queuedTokens: 0, batches, batchTokens: 0, gpuBytes: 123 }),
    failed,
    close: async () => {
      if (model === 'close-hang') await sleep(2 ** 30);
    },
  };
}

async function misbehave(
  first: number | undefined,
  signal: AbortSignal | undefined,
  fail: (reason: Error) => void,
): Promise<void> {
  if (first === trouble.dead) {
    const reason = new WgrankError('device-lost', 'fake', 'the device is gone for good');
    fail(reason);
    throw reason;
  }
  if (first === trouble.exit) process.exit(9);
  if (first === trouble.deviceLost) throw new WgrankError('device-lost', 'fake', 'the device is gone');
  if (first === trouble.unnamed) throw new TypeError('a bug');
  if (first === trouble.slow) await sleep(200);
  if (first === trouble.slower) await sleep(1500);
  if (first === trouble.spin) for (;;);
  if (first !== trouble.hang) return;
  await sleep(2 ** 30, undefined, signal === undefined ? {} : { signal }).catch(() => {
    throw new WgrankError('cancelled', 'fake', 'aborted');
  });
}
