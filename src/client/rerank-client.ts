import {
  readInfo,
  readModels,
  readRanked,
  readScored,
  type ModelCard,
  type RerankAnswer,
  type ScoreAnswer,
  type ServerInfo,
} from './answers.ts';
import { AnswerReader, isRecord } from './answer-reader.ts';
import type { Content } from './content.ts';
import { RerankApiError, RerankConnectionError, RerankInputError, RerankTimeoutError } from './errors.ts';
import { Transport, type CallOptions, type RerankClientOptions } from './transport.ts';

/** What both kinds of requests may say. */
interface ScoringOptions extends CallOptions {
  /** Name of a model; default: the server's first. */
  readonly model?: string | undefined;
  /** Task instruction of a decoder's prompt; default: the prompt's own. Cross-encoders ignore it. */
  readonly instruct?: string | undefined;
  /** Logits instead of 0 … 1. */
  readonly rawScores?: boolean | undefined;
  /** Tokens of a document's text at the most; the rest is cut. */
  readonly maxTokensPerDoc?: number | undefined;
  /** Tokens of a query at the most; cross-encoders alone can do it. */
  readonly maxTokensPerQuery?: number | undefined;
}

export interface RerankRequest extends ScoringOptions {
  readonly query: Content;
  readonly documents: readonly Content[];
  /** Keep the best n; default all. */
  readonly topN?: number | undefined;
  /** Puts each document beside its score, as it was given: it does not travel back. Default false. */
  readonly returnDocuments?: boolean | undefined;
  /** False refuses pairs that are too long with status 400 instead of cutting them. Default: the server's choice. */
  readonly truncate?: boolean | undefined;
}

export interface Pair {
  readonly query: Content;
  readonly document: Content;
}

export interface ScoreRequest extends ScoringOptions {
  readonly pairs: readonly Pair[];
}

/**
 * A wgrank server's client, for Node, browsers and whatever else has `fetch`. Calls may run concurrently; there is nothing to close.
 * Every method throws `RerankApiError` for what the server refuses, `RerankConnectionError`, `RerankTimeoutError`,
 * `RerankResponseError` for answers that are not the server's, `RerankInputError` for the caller's mistakes, or the signal's reason.
 */
export class RerankClient {
  readonly #transport: Transport;

  /** @throws RerankInputError */
  constructor(options: RerankClientOptions) {
    this.#transport = new Transport(options);
  }

  /** Ranks documents for a query. @returns best first; equal ones keep their request order */
  async rerank(request: RerankRequest): Promise<RerankAnswer> {
    const { query, documents, topN, truncate, returnDocuments = false } = request;
    if (!Array.isArray(documents)) throw new RerankInputError('[rerank client] documents are not a list');
    checkCounts({ topN });
    const body = {
      query,
      documents,
      ...(topN && { top_n: topN }),
      truncate,
      return_documents: false,
      ...shared(request),
    };
    const answer = await this.#transport.call('/v2/rerank', body, request);
    const results = Math.min(topN ?? documents.length, documents.length);
    return readRanked(answer, { documents, results, returnDocuments });
  }

  /** Scores pairs, each for itself. @returns scores in the order of the pairs */
  async score(request: ScoreRequest): Promise<ScoreAnswer> {
    const { pairs } = request;
    if (!Array.isArray(pairs) || !pairs.every(isRecord))
      throw new RerankInputError('[rerank client] pairs are not a list of { query, document }');
    const queries = pairs.map(({ query }) => query);
    const documents = pairs.map(({ document }) => document);
    const answer = await this.#transport.call('/v1/score', { queries, documents, ...shared(request) }, request);
    return readScored(answer, pairs.length);
  }

  /** Models that answer now. */
  async models(options: CallOptions = {}): Promise<ModelCard[]> {
    return readModels(await this.#transport.call('/v1/models', undefined, options));
  }

  async info(options: CallOptions = {}): Promise<ServerInfo> {
    return readInfo(await this.#transport.call('/info', undefined, options));
  }

  /** Whether the server's process answers. Asked once, no key needed. @returns false without an answer in time, and for 5xx */
  health(options: CallOptions = {}): Promise<boolean> {
    return this.#probe('/health', options);
  }

  /** Whether every model answers: false while they load, are started again, or the server stops. Otherwise as `health`. */
  ready(options: CallOptions = {}): Promise<boolean> {
    return this.#probe('/ready', options);
  }

  async #probe(path: string, options: CallOptions): Promise<boolean> {
    try {
      const { json, facts } = await this.#transport.call(path, undefined, options, 0);
      const read = new AnswerReader(facts);
      read.text(read.record(json, 'body')['status'], 'status');
      return true;
    } catch (error) {
      if (error instanceof RerankConnectionError || error instanceof RerankTimeoutError) return false;
      if (error instanceof RerankApiError && error.status >= 500) return false;
      throw error;
    }
  }
}

/** JSON leaves undefined fields out. */
function shared(request: ScoringOptions) {
  const { model, instruct, rawScores, maxTokensPerDoc, maxTokensPerQuery } = request;
  checkCounts({ maxTokensPerDoc, maxTokensPerQuery });
  return {
    model,
    instruction: instruct,
    raw_scores: rawScores,
    max_tokens_per_doc: maxTokensPerDoc,
    max_tokens_per_query: maxTokensPerQuery,
  };
}

/** JSON turns NaN into null, which means “all”, as 0 does. */
function checkCounts(counts: Readonly<Record<string, number | undefined>>): void {
  for (const [name, count] of Object.entries(counts)) {
    if (count !== undefined && !(Number.isInteger(count) && count >= 1))
      throw new RerankInputError(`[rerank client] ${name} is ${String(count)} (a whole number of at least 1)`);
  }
}
