import type { Logger } from './log.ts';
import type { RequestListener, RequestSummary } from './request-notes.ts';
import { traceIdOf } from './tracing.ts';

/** Asked every few seconds by balancers and Prometheus: `--log-level debug` shows them. */
const probes: ReadonlySet<string | undefined> = new Set(['/health', '/ready', '/metrics']);

/** One line per request: what it was, how it ended and where its time went. No address, no header, no text of it. */
export function logRequests(logger: Logger): RequestListener {
  return {
    end(summary) {
      const level = levelOf(summary);
      if (logger.isLevelEnabled(level)) logger[level](describe(summary), 'request');
    },
  };
}

function levelOf({ status, notes }: RequestSummary): 'debug' | 'info' | 'warn' {
  if (status >= 500 && notes.scoring) return 'warn';
  return probes.has(notes.route) ? 'debug' : 'info';
}

function describe({ notes, method, status, ms }: RequestSummary) {
  const traceId = traceIdOf(notes);
  return {
    id: notes.id,
    method,
    route: notes.route ?? null,
    status,
    ms: rounded(ms),
    ...(notes.documents > 0 && {
      documents: notes.documents,
      tokens: notes.tokens,
      truncated: notes.truncatedDocuments,
      tokenizeMs: rounded(notes.tokenizeMs),
      queueMs: rounded(notes.queueMs),
      inferenceMs: rounded(notes.inferenceMs),
    }),
    ...(traceId !== undefined && { traceId }),
  };
}

const rounded = (ms: number) => Math.round(ms * 100) / 100;
