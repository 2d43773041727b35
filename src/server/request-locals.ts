import type { Response } from 'express';
import type { RerankOptions } from '../rerank/reranker.ts';
import type { DialectName } from './dialects/dialect.ts';
import type { ErrorShape } from './error-bodies.ts';

/** Where a request's time went, in milliseconds; grows until its answer is out. */
export interface Timings {
  readonly tokenizeMs: number;
  readonly queueMs: number;
  /** At the engine, waiting in the queue not counted. */
  readonly inferenceMs: number;
}

/** What middlewares know of a request and tell each other, in `response.locals`. */
export interface RequestLocals {
  /** The wire format that a base-URL prefix asked for. */
  dialect?: DialectName;
  /** How this request's errors are written; default: SGLang's. */
  errors?: ErrorShape;
  /** Unique; set by whoever writes the log, else made when it is needed. */
  requestId?: string;
  /** `performance.now()` when the last byte of its body was here. */
  arrivedAt?: number;
  /** The route of the path, as in `/v1/models/*id`, whether or not the request gets there; absent where none fits. */
  route?: string;
  /** The model works for it: rankings and scores. */
  scoring?: boolean;
  /** Is told the phases of scoring; set by whoever measures them. */
  observe?: RerankOptions['observe'];
  /** Of the phases that `observe` was told. */
  timings?: Timings;
}

export const localsOf = (response: Response): RequestLocals => response.locals;
