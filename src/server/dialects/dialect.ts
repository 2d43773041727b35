import type { EngineInfo, ModelKind } from '../../rerank/engine.ts';
import type { Content, RerankOptions, ScoredDocument } from '../../rerank/reranker.ts';
import type { ErrorShape } from '../error-bodies.ts';
import type { Timings } from '../request-locals.ts';
import type { RequestLimits } from './content-checks.ts';

/** Wire formats that a base-URL prefix selects: `/jina` in front of the usual paths. */
export const dialectNames = ['sglang', 'jina', 'cohere', 'vllm', 'tei', 'voyage'] as const;
export type DialectName = (typeof dialectNames)[number];

/** What a request of any wire format asks for. */
export interface RankRequest {
  /** Name of a model; absent, null or empty: the first one. What is no text is for servers of one model, which do not read it. */
  readonly model?: unknown;
  readonly query: Content;
  readonly documents: readonly Content[];
  /** The documents exactly as sent, for the echo in the answer. */
  readonly sentDocuments: readonly unknown[];
  /** Undefined: as the wire format has it for the model's kind. */
  readonly returnDocuments: boolean | undefined;
  readonly topN: number | undefined;
  /** Logits instead of 0 … 1. */
  readonly rawScores: boolean;
  readonly instruct?: string | undefined;
  /** How pairs are cut. */
  readonly cut: Pick<RerankOptions, 'truncate' | 'maxDocumentTokens' | 'maxQueryTokens' | 'maxPairTokens'>;
}

/** A request with its answer, for a formatter. */
export interface Ranked {
  readonly asked: RankRequest;
  /** Best first, as many as were asked for. */
  readonly scored: readonly ScoredDocument[];
  /** Of all documents, those beyond `top_n` included. */
  readonly totals: Totals;
  /** Name of the model that answered. */
  readonly model: string;
  readonly kind: ModelKind;
  /** Unique to the request. */
  readonly id: string;
}

export interface Totals {
  readonly documents: number;
  readonly promptTokens: number;
  readonly truncatedDocuments: number;
}

/** A wire format: one parser, one formatter, one shape for errors. */
export interface Dialect {
  readonly errors: ErrorShape;
  /** Answers tell the tokens of all documents; without it only the best are brought back. */
  readonly tellsUsage: boolean;
  /** @throws HttpRefusal | WgrankError */
  parse(body: unknown, limits: RequestLimits): RankRequest;
  format(ranked: Ranked): unknown;
  /** Order of equal scores where it is not that of the request. */
  order?(scored: readonly ScoredDocument[]): readonly ScoredDocument[];
  headers?(ranked: Ranked, run: RankRun): Record<string, string>;
}

/** What it took to answer. */
export interface RankRun {
  readonly tookMs: number;
  /** Undefined where nobody measures them. */
  readonly timings: Timings | undefined;
  readonly info: EngineInfo;
}
