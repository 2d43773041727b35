import type { Command, OptionValues } from 'commander';
import { logLevels, type LogFormat, type LogLevel } from '../server/log.ts';
import { choice, integer } from './flag-values.ts';

/** How the server is run. */
export interface OperationFlags {
  /** What `/v1/rerank` speaks. */
  readonly apiDialect: 'sglang' | 'jina';
  /** Tokens that wait at the most; undefined: what suits the batches. */
  readonly maxQueueTokens: number | undefined;
  readonly maxQueueRequests: number;
  /** Milliseconds that an answer may take; 0: any time. */
  readonly requestTimeoutMs: number;
  /** Milliseconds that requests in flight have when the server stops. */
  readonly drainTimeoutMs: number;
  /** Undefined: metrics are on the port of everything else. */
  readonly metricsPort: number | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

const dayMs = 86_400_000;
/** Clients of Cohere and others give up after five minutes. */
const defaultRequestTimeoutMs = 300_000;
/** Kubernetes leaves 30 s for everything, and the engine may take 5 of them to end. */
const defaultDrainTimeoutMs = 20_000;
/** SGLang's names. */
const levelSynonyms = { warning: 'warn', critical: 'fatal' } as const;

export function declareOperationFlags(command: Command): void {
  command
    .option('--api-dialect <name>', 'what /v1/rerank speaks: sglang, jina', choice(['sglang', 'jina']), 'sglang')
    .option(
      '--max-queue-tokens <tokens>',
      'tokens that wait for the engine, over which requests get 429; default: 16 batches, but at least 262144',
      integer(1, 1 << 30),
    )
    .option(
      '--max-queued-requests, --max-queue-requests <count>',
      'requests that wait for the engine, over which others get 429',
      integer(1, 1_000_000),
      512,
    )
    .option(
      '--request-timeout-ms <ms>',
      'time for an answer, after which it is 504; 0: any time',
      integer(0, dayMs),
      defaultRequestTimeoutMs,
    )
    .option(
      '--drain-timeout-ms <ms>',
      'time for requests in flight when the server is stopped',
      integer(0, dayMs),
      defaultDrainTimeoutMs,
    );
}

export function declareLogFlags(command: Command): void {
  command
    .option(
      '--metrics-port <number>',
      'port of /metrics; 0 takes a free one; default: that of --port',
      integer(0, 65535),
    )
    .option('--log-level <name>', logLevels.join(', '), choice(logLevels, levelSynonyms), 'info')
    .option(
      '--log-format <name>',
      'json, pretty, or auto: pretty on a terminal, else json',
      choice(['auto', 'json', 'pretty']),
      'auto',
    );
}

/** @throws Error with the sentence for the operator */
export function readOperationFlags(values: OptionValues): OperationFlags {
  const { metricsPort, port } = values;
  if (metricsPort !== undefined && metricsPort !== 0 && metricsPort === port)
    throw new Error(`--metrics-port ${metricsPort} is the port of --port (choose another, or leave the flag out)`);
  return {
    apiDialect: values.apiDialect,
    maxQueueTokens: values.maxQueueTokens,
    maxQueueRequests: values.maxQueueRequests,
    requestTimeoutMs: values.requestTimeoutMs,
    drainTimeoutMs: values.drainTimeoutMs,
    metricsPort,
    logLevel: values.logLevel,
    logFormat: values.logFormat,
  };
}
