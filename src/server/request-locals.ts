import type { Response } from 'express';
import type { RerankOptions } from '../rerank/reranker.ts';
import type { DialectName } from './dialects/dialect.ts';
import type { ErrorShape } from './error-bodies.ts';

/** What middlewares know of a request and tell each other, in `response.locals`. */
export interface RequestLocals {
  /** The wire format that a base-URL prefix asked for. */
  dialect?: DialectName;
  /** How this request's errors are written; default: SGLang's. */
  errors?: ErrorShape;
  /** Unique; set by whoever writes the log, else made when it is needed. */
  requestId?: string;
  /** The route that was taken, as in `/v1/models/*id`; absent where none fits. */
  route?: string;
  /** The model works for it: rankings and scores. */
  scoring?: boolean;
  /** Is told the phases of scoring; set by whoever measures them. */
  observe?: RerankOptions['observe'];
}

export const localsOf = (response: Response): RequestLocals => response.locals;
