import {
  context,
  isSpanContextValid,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
} from '@opentelemetry/api';
import type { Request, RequestHandler, Response } from 'express';
import { notesOf, type RequestNotes } from './request-notes.ts';

const spans = new WeakMap<RequestNotes, Span>();

/**
 * A span for each request, a child of the caller's (`traceparent`), and below it one for each time that texts were encoded and pairs
 * scored. Whoever starts the server with an OpenTelemetry SDK gets them; without one this costs a few calls that do nothing.
 * Attributes are numbers and names that the server knows.
 */
export function traceRequests(): RequestHandler {
  const tracer = trace.getTracer('wgrank');
  return (request, response, next) => {
    const caller = propagation.extract(context.active(), request.headers);
    const attributes = { 'http.request.method': request.method };
    const span = tracer.startSpan(request.method, { kind: SpanKind.SERVER, attributes }, caller);
    const own = trace.setSpan(caller, span);
    spans.set(notesOf(response), span);
    if (span.isRecording()) response.once('close', () => finish(span, own, request, response));
    context.with(own, next);
  };
}

/** Of the request's trace, when there is one. */
export function traceIdOf(notes: RequestNotes): string | undefined {
  const found = spans.get(notes)?.spanContext();
  return found !== undefined && isSpanContextValid(found) ? found.traceId : undefined;
}

function finish(span: Span, own: Context, request: Request, response: Response): void {
  const notes = notesOf(response);
  const tracer = trace.getTracer('wgrank');
  for (const { phase, startedAt, endedAt, ...rest } of notes.phases) {
    const attributes = 'queueMs' in rest ? { 'wgrank.queue_ms': rest.queueMs } : { 'wgrank.pairs': rest.pairs.length };
    const name = phase === 'encode' ? 'tokenize' : phase;
    tracer.startSpan(name, { startTime: toTime(startedAt), attributes }, own).end(toTime(endedAt));
  }
  const { route, documents, tokens, truncatedDocuments } = notes;
  const status = response.writableFinished ? response.statusCode : 499;
  if (route !== undefined) span.updateName(`${request.method} ${route}`).setAttribute('http.route', route);
  span.setAttribute('http.response.status_code', status);
  if (documents > 0) {
    span.setAttributes({
      'wgrank.documents': documents,
      'wgrank.tokens': tokens,
      'wgrank.truncated_documents': truncatedDocuments,
    });
  }
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** `performance.now()` as seconds and nanoseconds since 1970. */
function toTime(ms: number): [number, number] {
  const epochMs = performance.timeOrigin + ms;
  const seconds = Math.floor(epochMs / 1000);
  return [seconds, Math.floor((epochMs - seconds * 1000) * 1e6)];
}
