import { tokensBeyond, type EngineInfo } from '../rerank/engine.ts';
import { defaultBodyBytes } from '../server/app.ts';
import type { ModelDescription } from '../rerank/describe-model-node.ts';
import { idleMediaFlags } from './media-flags.ts';
import { readVersion } from './run.ts';
import type { ServeFlags } from './serve-flags.ts';

/** What is known before the model has loaded. */
export interface LaunchFacts {
  readonly flags: ServeFlags;
  readonly description: ModelDescription;
  /** Where the model was found: folder, embedded, cache. */
  readonly source: string;
  readonly url: string;
}

/** Lines for the operator when the server listens and the model starts to load. */
export function reportStart({ flags, description, source, url }: LaunchFacts): string[] {
  const lines = [
    `wgrank ${readVersion()} · loading ${flags.modelPath} (${source}) · ${description.architecture}, ${description.kind}`,
  ];
  if (source === 'embedded')
    lines.push('note: the embedded model has random weights; its scores show the path, not relevance');
  const idle = [
    ...flags.ignored,
    ...(description.kind === 'cross-encoder' ? promptFlags(flags) : []),
    ...(description.kind === 'vl-decoder' ? [] : idleMediaFlags(flags.media)),
  ];
  if (idle.length > 0) lines.push(`no effect here: ${idle.join(', ')}`);
  if (!isLoopback(flags.host)) lines.push(`warning: no authentication: whoever reaches ${url} can use this server`);
  return lines;
}

/** Lines for the operator when the model answers. */
export function reportReady({ flags, url }: LaunchFacts, info: EngineInfo, loadMs: number): string[] {
  const tooLong = flags.truncate ? 'longer ones are cut' : 'longer ones are refused';
  return [
    `adapter  ${info.adapter}${info.software ? ' (software)' : ''}`,
    `weights  ${info.dtype}`,
    `limits   ${info.maxTokens - tokensBeyond(info.kind)} tokens a pair (${tooLong}) · ${info.maxBatchTokens} tokens a batch (a longer pair is one by itself) · ` +
      `${flags.maxDocuments} documents and ${flags.maxBodyBytes ?? defaultBodyBytes(info.kind)} bytes a request`,
    ...info.warnings.map((warning) => `warning: ${warning}`),
    `ready after ${(loadMs / 1000).toFixed(1)} s at ${url} · POST /v1/rerank answers with SGLang's bare array`,
  ];
}

/** Cross-encoders have no prompt. */
function promptFlags({ chatTemplate, escapeSpecialTokens }: ServeFlags): string[] {
  const given = chatTemplate === undefined ? [] : [`--chat-template ${chatTemplate}`];
  return escapeSpecialTokens ? [...given, '--escape-special-tokens'] : given;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
