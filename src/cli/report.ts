import { readableTokens, type EngineInfo } from '../rerank/engine.ts';
import { defaultBodyBytes } from '../server/app.ts';
import { isLoopback } from '../server/binding.ts';
import type { ModelDescription } from '../rerank/describe-model-node.ts';
import { idleMediaFlags } from './media-flags.ts';
import { readPackageVersion } from '../server/package-version.ts';
import type { ServeFlags } from './serve-flags.ts';

export interface LaunchedModel {
  /** As the operator typed it. */
  readonly path: string;
  readonly description: ModelDescription;
  /** Where it was found: folder, embedded, cache. */
  readonly source: string;
}

/** What is known before the models have loaded. */
export interface LaunchFacts {
  readonly flags: ServeFlags;
  readonly models: readonly LaunchedModel[];
  readonly url: string;
  readonly metricsUrl?: string | undefined;
}

/** Lines for the operator when the server listens and its models start to load. */
export function reportStart({ flags, models, url, metricsUrl }: LaunchFacts): string[] {
  const lines = models.map(
    ({ path, source, description }) =>
      `wgrank ${readPackageVersion()} · loading ${path} (${source}) · ${description.architecture}, ${description.kind}`,
  );
  if (models.some(({ source }) => source === 'embedded'))
    lines.push('note: the embedded model has random weights; its scores show the path, not relevance');
  const kinds = models.map(({ description }) => description.kind);
  const idle = [
    ...flags.ignored,
    ...(kinds.every((kind) => kind === 'cross-encoder') ? promptFlags(flags) : []),
    ...(kinds.includes('vl-decoder') ? [] : idleMediaFlags(flags.media)),
  ];
  if (idle.length > 0) lines.push(`no effect here: ${idle.join(', ')}`);
  if (metricsUrl !== undefined) lines.push(`metrics at ${metricsUrl}/metrics`);
  const { access, host } = flags;
  if (access.keys.count === 0 && !isLoopback(host))
    lines.push(`warning: no authentication: whoever reaches ${url} can use this server`);
  return lines;
}

/** Lines for the operator when the models answer. @param infos in the order of the models */
export function reportReady(facts: LaunchFacts, infos: readonly EngineInfo[], loadMs: number): string[] {
  const { flags, models, url } = facts;
  const tooLong = flags.truncate ? 'longer ones are cut' : 'longer ones are refused';
  const bodyBytes = flags.maxBodyBytes ?? Math.max(...infos.map(({ kind }) => defaultBodyBytes(kind)));
  const loaded = models.flatMap(({ path }, i) => {
    const info = infos[i]!;
    return [
      ...(models.length > 1 ? [`model    ${path}`] : []),
      `adapter  ${info.adapter}${info.software ? ' (software)' : ''}`,
      `weights  ${info.dtype}`,
      `limits   ${readableTokens(info)} tokens a pair (${tooLong}) · ${info.maxBatchTokens} tokens a batch (a longer pair is one by itself)`,
      ...info.warnings.map((warning) => `warning: ${warning}`),
    ];
  });
  const form = flags.operation.apiDialect === 'sglang' ? "SGLang's bare array" : "Jina's object";
  return [
    ...loaded,
    `requests ${flags.maxDocuments} documents and ${bodyBytes} bytes`,
    `ready after ${(loadMs / 1000).toFixed(1)} s at ${url} · POST /v1/rerank answers with ${form} · ${url}/docs shows all routes`,
  ];
}

/** Cross-encoders have no prompt. */
function promptFlags({ chatTemplate, escapeSpecialTokens }: ServeFlags): string[] {
  const given = chatTemplate === undefined ? [] : [`--chat-template ${chatTemplate}`];
  return escapeSpecialTokens ? [...given, '--escape-special-tokens'] : given;
}
