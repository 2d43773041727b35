import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { WgrankError, type ErrorCode } from '../../src/errors.ts';
import type { EngineInfo } from '../../src/rerank/engine.ts';
import type { Content, Reranker, RerankOptions, ScoredDocument } from '../../src/rerank/reranker.ts';
import { createApp, type AppOptions } from '../../src/server/app.ts';
import { fakeInfo } from '../support/fake-engine.ts';

export interface FakeReranker extends Reranker {
  /** Every call that reached the model. */
  readonly calls: { query: Content; documents: readonly Content[]; options: RerankOptions }[];
  /** Calls that were aborted while they waited. */
  aborts: number;
}

/**
 * A reranker without a model. A document's logit is the number it starts with (0 without one); the query asks for trouble:
 * `throw:CODE`, `throw` (an unnamed error), `hang` (until aborted), `nan`.
 */
export function createFakeReranker(info: Partial<EngineInfo> = {}): FakeReranker {
  const reranker: FakeReranker = {
    info: { ...fakeInfo, ...info },
    calls: [],
    aborts: 0,
    async rerank(query, documents, options = {}) {
      reranker.calls.push({ query, documents, options });
      const asked = readText(query);
      if (asked === 'throw') throw new TypeError('a bug at /secret/path');
      if (asked.startsWith('throw:'))
        throw new WgrankError(asked.slice(6) as ErrorCode, 'fake', 'details of /secret/path');
      if (asked === 'hang')
        await waitForAbort(options.signal!).catch((error: unknown) => (reranker.aborts++, Promise.reject(error)));
      const scored = documents.map((document, index) => scoreOf(asked, readText(document), index));
      return scored.toSorted((a, b) => b.logit - a.logit).slice(0, options.topN);
    },
    stats: async () => ({ queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 }),
    close: async () => undefined,
  };
  return reranker;
}

function scoreOf(query: string, document: string, index: number): ScoredDocument {
  const logit = query === 'nan' ? Number.NaN : Number.parseFloat(document) || 0;
  const tokens = query.length + document.length;
  return {
    index,
    score: logit,
    logit,
    promptTokens: Math.min(tokens, 512),
    truncatedTokens: Math.max(0, tokens - 512),
  };
}

function readText(content: Content): string {
  if (typeof content === 'string') return content;
  const texts = content.map((part) => {
    if (part.type !== 'text') throw new WgrankError('media-unsupported', '', 'This model reads text only.');
    return part.text;
  });
  return texts.join(' ');
}

async function waitForAbort(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw new WgrankError('cancelled', 'fake', 'aborted');
}

export interface RunningApp {
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

export async function listen(app: Express): Promise<RunningApp> {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export const startApp = (reranker: Reranker, options?: AppOptions): Promise<RunningApp> =>
  listen(createApp(reranker, options));

/** Sends a body to `/v1/rerank`: objects as JSON, strings, bytes and streams as they are. */
export function postRerank(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const raw =
    typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream
      ? body
      : JSON.stringify(body);
  return fetch(`${url}/v1/rerank`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    ...init,
    body: raw as NonNullable<RequestInit['body']>,
  });
}
