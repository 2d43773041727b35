import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { RerankPhase } from '../rerank/rerank-phase.ts';
import { localsOf } from './request-locals.ts';

/** Phases of one request that are kept for its trace; a call of many windows has many. */
const maxPhases = 64;

/** What is learnt of a request on its way, for log, metrics and trace: numbers, and names that the server knows. Never a text of it. */
export class RequestNotes {
  readonly id: string;
  readonly startedAt = performance.now();
  /** The route's pattern, as in `/v1/models/*id`; undefined where none fits. */
  route: string | undefined;
  /** The model works for it. */
  scoring = false;
  /** Pairs that were encoded. */
  documents = 0;
  /** Of those pairs. */
  tokens = 0;
  truncatedDocuments = 0;
  /** Tokens of each pair. */
  readonly lengths: number[] = [];
  tokenizeMs = 0;
  queueMs = 0;
  /** At the engine, waiting in the queue not counted. */
  inferenceMs = 0;
  readonly phases: RerankPhase[] = [];

  constructor(id: string) {
    this.id = id;
  }

  /** For `RerankOptions.observe`. */
  readonly observe = (phase: RerankPhase): void => {
    if (this.phases.length < maxPhases) this.phases.push(phase);
    const ms = phase.endedAt - phase.startedAt;
    if (phase.phase === 'score') {
      this.queueMs += phase.queueMs;
      this.inferenceMs += ms - phase.queueMs;
      return;
    }
    this.tokenizeMs += ms;
    for (const { promptTokens, truncatedTokens } of phase.pairs) {
      this.documents++;
      this.tokens += promptTokens;
      this.lengths.push(promptTokens);
      if (truncatedTokens > 0) this.truncatedDocuments++;
    }
  };
}

/** A request when it is over. */
export interface RequestSummary {
  readonly notes: RequestNotes;
  readonly method: string;
  /** 499 when the client left before the answer was out. */
  readonly status: number;
  readonly ms: number;
}

export interface RequestListener {
  begin?(): void;
  end(summary: RequestSummary): void;
}

const notesOfResponses = new WeakMap<Response, RequestNotes>();

/** @throws TypeError without `takeNotes` before it */
export function notesOf(response: Response): RequestNotes {
  const notes = notesOfResponses.get(response);
  if (notes === undefined) throw new TypeError('takeNotes stands before whoever writes notes');
  return notes;
}

/** The first middleware: gives the request its id, which the answer repeats, and tells listeners when it is over. */
export function takeNotes(...listeners: readonly RequestListener[]): RequestHandler {
  return (request, response, next) => {
    const notes = new RequestNotes(idOf(request));
    notesOfResponses.set(response, notes);
    const locals = localsOf(response);
    locals.requestId = notes.id;
    locals.observe = notes.observe;
    locals.timings = notes;
    response.setHeader('X-Request-Id', notes.id);
    for (const listener of listeners) listener.begin?.();
    response.once('close', () => {
      notes.route = locals.route;
      notes.scoring = locals.scoring === true;
      const status = response.writableFinished ? response.statusCode : 499;
      const summary = { notes, method: request.method, status, ms: performance.now() - notes.startedAt };
      for (const listener of listeners) listener.end(summary);
    });
    next();
  };
}

/** A proxy's or client's own id, when it is one that fits into logs and headers; else a new one. */
function idOf(request: Request): string {
  const sent = request.headers['x-request-id'];
  return typeof sent === 'string' && /^[\w.:+/=@-]{1,128}$/.test(sent) ? sent : randomUUID();
}
