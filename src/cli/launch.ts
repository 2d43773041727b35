import { WgrankError } from '../errors.ts';
import { unsupported } from '../models/registry.ts';
import type { ModelDescription } from '../rerank/describe-model-node.ts';
import { defaultMaxLength, type EngineInfo } from '../rerank/engine.ts';
import { defaultBodyBytes } from '../server/app.ts';
import type { Logger } from '../server/log.ts';
import type { ModelOptions, ModelParts } from '../server/serve-model.ts';
import { serve, type RunningServer, type ServeOptions } from '../server/serve.ts';
import { rankExample } from './example.ts';
import { reportReady, reportStart, type LaunchFacts, type LaunchedModel } from './report.ts';
import type { ServeFlags } from './serve-flags.ts';
import { stopOnSignals } from './signals.ts';

/** The rooms that the command line connects. */
export interface LaunchParts extends ModelParts {
  resolveModel(pathOrId: string): Promise<{ readonly dir: string; readonly source: string }>;
  describeModel(modelDir: string): Promise<ModelDescription>;
}

/** Where a running server speaks: `logger` to the operator, `print` what was asked for (the example). */
export interface LaunchOutput {
  readonly logger: Logger;
  print(line: string): void;
}

/**
 * `wgrank serve`: resolves, checks, listens, loads, reports, and stays until a signal stops it.
 * @returns the exit code: 0 after a clean stop, 1 when requests had to be cut
 * @throws WgrankError whatever keeps the server from starting
 */
export async function launch(flags: ServeFlags, parts: LaunchParts, output: LaunchOutput): Promise<number> {
  const models = [];
  for (const path of flags.modelPaths) models.push(await findModel(path, flags, parts));
  const { logger } = output;
  const log = (line: string) => (line.startsWith('warning') ? logger.warn(line) : logger.info(line));
  // The example asks as a client does, with a key of its own.
  const exampleKey = flags.example ? flags.access.keys.issue() : undefined;
  const server = await serve(toServeOptions(flags, models, logger), parts);
  const stopped = stopOnSignals(server, log);
  const facts: LaunchFacts = { flags, models, url: server.url, metricsUrl: server.metricsUrl };
  reportStart(facts).forEach(log);
  const startedAt = performance.now();
  const infos = await Promise.race([readyOrClosed(server, stopped), stopped]);
  if (typeof infos === 'number') return infos;
  reportReady(facts, infos, performance.now() - startedAt).forEach(log);
  if (flags.example) await rankExample(server.url, { print: output.print, log, key: exampleKey });
  return stopped;
}

interface FoundModel extends LaunchedModel {
  readonly dir: string;
  readonly maxLength: number;
}

async function findModel(path: string, flags: ServeFlags, parts: LaunchParts): Promise<FoundModel> {
  const { dir, source } = await parts.resolveModel(path);
  const description = await parts.describeModel(dir);
  return { path, dir, source, description, maxLength: checkLaunch(flags, description) };
}

/** A model that cannot be loaded takes the server down, unless it is going down already. */
async function readyOrClosed(server: RunningServer, stopped: Promise<number>): Promise<readonly EngineInfo[] | number> {
  try {
    return await server.ready;
  } catch (error) {
    if (error instanceof WgrankError && error.code === 'cancelled') return stopped;
    await server.close();
    throw error;
  }
}

/**
 * The command line against the model.
 * source of the two sentences: SGLang, which says them per request; here they are said once, at start.
 * @returns the longest pair in tokens
 * @throws WgrankError `launch-refused`, `model-unsupported`
 */
export function checkLaunch(flags: ServeFlags, { kind, architecture, maxTokens }: ModelDescription): number {
  if (flags.isEmbedding && kind === 'text-decoder') {
    if (!architecture.startsWith('Qwen3'))
      throw refusal(`${architecture} is a decoder. Please relaunch without --is-embedding.`);
    throw refusal(
      'Detected Qwen3 reranker chat template, but the server is not in generation mode. Please relaunch without --is-embedding for Qwen3-Reranker models.',
    );
  }
  if (flags.isEmbedding && kind === 'vl-decoder') {
    throw refusal(
      'Detected Qwen3-VL reranker, but the server is not in generation mode. Please relaunch without --is-embedding for Qwen3-VL-Reranker models.',
    );
  }
  if (maxTokens === undefined) throw unsupported(architecture);
  if (flags.maxLength !== undefined && flags.maxLength > maxTokens) {
    throw new WgrankError(
      'launch-refused',
      'serve',
      `--max-length ${flags.maxLength} exceeds what the model can read: ${maxTokens} tokens (pass that or less, or leave the flag out)`,
    );
  }
  return flags.maxLength ?? defaultMaxLength(kind, maxTokens);
}

const refusal = (sentence: string) => new WgrankError('launch-refused', '', sentence);

function toServeOptions(flags: ServeFlags, models: readonly FoundModel[], logger: Logger): ServeOptions {
  const { host, port, maxDocuments, access, operation, servedModelName } = flags;
  const { apiDialect, requestTimeoutMs, drainTimeoutMs, metricsPort } = operation;
  const [first, ...others] = models.map((model) => toModelOptions(flags, model));
  const bodyBytes = models.map(({ description }) => defaultBodyBytes(description.kind));
  return {
    models: [first!, ...others],
    host,
    port,
    maxDocuments,
    access,
    apiDialect,
    requestTimeoutMs,
    logger,
    drainLimitMs: drainTimeoutMs,
    maxBodyBytes: flags.maxBodyBytes ?? Math.max(...bodyBytes),
    ...(servedModelName === undefined ? {} : { servedModelName }),
    ...(metricsPort === undefined ? {} : { metricsPort }),
  };
}

function toModelOptions(flags: ServeFlags, { path, dir, description, maxLength }: FoundModel): ModelOptions {
  const { dtype, truncate, escapeSpecialTokens, media, operation } = flags;
  return {
    modelDir: dir,
    model: path,
    kind: description.kind,
    architecture: description.architecture,
    maxLength,
    dtype,
    truncate,
    escapeSpecialTokens,
    media,
    maxQueueRequests: operation.maxQueueRequests,
    ...(operation.maxQueueTokens === undefined ? {} : { maxQueueTokens: operation.maxQueueTokens }),
    ...(flags.chatTemplate === undefined ? {} : { chatTemplate: flags.chatTemplate }),
    ...(flags.maxBatchTokens === undefined ? {} : { maxBatchTokens: flags.maxBatchTokens }),
    ...(flags.tokenizerWorkers === undefined ? {} : { tokenizerWorkers: flags.tokenizerWorkers }),
  };
}
