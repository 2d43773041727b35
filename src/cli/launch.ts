import { WgrankError } from '../errors.ts';
import { unsupported } from '../models/registry.ts';
import type { ModelDescription } from '../rerank/describe-model-node.ts';
import { defaultMaxLength, type EngineInfo } from '../rerank/engine.ts';
import { defaultBodyBytes } from '../server/app.ts';
import { serve, type RunningServer, type ServeOptions, type ServeParts } from '../server/serve.ts';
import { rankExample } from './example.ts';
import { reportReady, reportStart, type LaunchFacts } from './report.ts';
import type { ServeFlags } from './serve-flags.ts';
import { stopOnSignals } from './signals.ts';

/** The rooms that the command line connects. */
export interface LaunchParts extends ServeParts {
  resolveModel(pathOrId: string): Promise<{ readonly dir: string; readonly source: string }>;
  describeModel(modelDir: string): Promise<ModelDescription>;
}

/** Where a running server speaks: `log` for the operator, `print` for what was asked for (the example). */
export interface LaunchOutput {
  log(line: string): void;
  print(line: string): void;
}

/**
 * `wgrank serve`: resolves, checks, listens, loads, reports, and stays until a signal stops it.
 * @returns the exit code: 0 after a clean stop, 1 when requests had to be cut
 * @throws WgrankError whatever keeps the server from starting
 */
export async function launch(flags: ServeFlags, parts: LaunchParts, output: LaunchOutput): Promise<number> {
  const { dir, source } = await parts.resolveModel(flags.modelPath);
  const description = await parts.describeModel(dir);
  const maxLength = checkLaunch(flags, description);
  const server = await serve(toServeOptions(flags, dir, description, maxLength, output.log), parts);
  const stopped = stopOnSignals(server, output.log);
  const facts: LaunchFacts = { flags, description, source, url: server.url };
  reportStart(facts).forEach(output.log);
  const startedAt = performance.now();
  const info = await Promise.race([readyOrClosed(server, stopped), stopped]);
  if (typeof info === 'number') return info;
  reportReady(facts, info, performance.now() - startedAt).forEach(output.log);
  if (flags.example) await rankExample(server.url, output);
  return stopped;
}

/** A model that cannot be loaded takes the server down, unless it is going down already. */
async function readyOrClosed(server: RunningServer, stopped: Promise<number>): Promise<EngineInfo | number> {
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

function toServeOptions(
  flags: ServeFlags,
  modelDir: string,
  { kind, architecture }: ModelDescription,
  maxLength: number,
  log: (line: string) => void,
): ServeOptions {
  const { host, port, dtype, truncate, escapeSpecialTokens, maxBodyBytes, maxDocuments, media } = flags;
  return {
    modelDir,
    model: flags.modelPath,
    kind,
    architecture,
    maxLength,
    host,
    port,
    dtype,
    truncate,
    escapeSpecialTokens,
    maxDocuments,
    media,
    log,
    maxBodyBytes: maxBodyBytes ?? defaultBodyBytes(kind),
    ...(flags.chatTemplate === undefined ? {} : { chatTemplate: flags.chatTemplate }),
    ...(flags.servedModelName === undefined ? {} : { servedModelName: flags.servedModelName }),
    ...(flags.maxBatchTokens === undefined ? {} : { maxBatchTokens: flags.maxBatchTokens }),
    ...(flags.tokenizerWorkers === undefined ? {} : { tokenizerWorkers: flags.tokenizerWorkers }),
  };
}
