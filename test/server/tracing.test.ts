import {
  context,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type HrTime,
  type Span,
  type SpanOptions,
  type SpanStatus,
} from '@opentelemetry/api';
import { afterEach, expect, test } from 'vitest';
import type { RequestSummary } from '../../src/server/request-notes.ts';
import { traceIdOf } from '../../src/server/tracing.ts';
import type { GuardedApp } from './guarded-app.ts';
import { queueMs, rerank, startObserved } from './observed-app.ts';

interface Recorded {
  name: string;
  readonly parent: string | undefined;
  readonly kind: SpanKind | undefined;
  readonly attributes: Attributes;
  readonly ms: number | undefined;
  status?: SpanStatus;
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const ended: Recorded[] = [];
const toMs = ([seconds, nanoseconds]: HrTime) => seconds * 1000 + nanoseconds / 1e6;

/** The part of an SDK that the server can see. */
function useSdk(): void {
  let spans = 0;
  const startSpan = (name: string, options: SpanOptions = {}, parent: Context = context.active()): Span => {
    const spanId = String(++spans).padStart(16, '0');
    const recorded: Recorded = {
      name,
      parent: trace.getSpanContext(parent)?.spanId,
      kind: options.kind,
      attributes: { ...options.attributes },
      ms: undefined,
    };
    const span = {
      spanContext: () => ({ traceId, spanId, traceFlags: 1 }),
      isRecording: () => true,
      updateName: (text: string) => ((recorded.name = text), span),
      setAttribute: (key: string, value: string) => (Object.assign(recorded.attributes, { [key]: value }), span),
      setAttributes: (more: Attributes) => (Object.assign(recorded.attributes, more), span),
      setStatus: (status: SpanStatus) => ((recorded.status = status), span),
      end: (at?: HrTime) => {
        const { startTime } = options;
        ended.push({ ...recorded, ms: at && startTime ? toMs(at) - toMs(startTime as HrTime) : undefined });
      },
    } as unknown as Span;
    return span;
  };
  const tracer = { startSpan, startActiveSpan: () => undefined as never };
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  propagation.setGlobalPropagator({
    fields: () => ['traceparent'],
    inject: () => undefined,
    extract: (parent, carrier: Record<string, string>) => {
      const [, id, spanId] = carrier['traceparent']?.split('-') ?? [];
      return id && spanId ? trace.setSpanContext(parent, { traceId: id, spanId, traceFlags: 1 }) : parent;
    },
  });
}

let app: GuardedApp | undefined;
const summaries: RequestSummary[] = [];
afterEach(() => {
  app?.close();
  trace.disable();
  propagation.disable();
  ended.length = summaries.length = 0;
});
const start = async () =>
  (app = await startObserved({ listeners: [{ end: (summary) => void summaries.push(summary) }] }));

test('without an SDK nothing is traced, and requests are answered', async () => {
  const { url } = await start();
  expect((await rerank(url, ['a'], { traceparent: `00-${traceId}-b7ad6b7169203331-01` })).status).toBe(200);
  await expect.poll(() => summaries.length).toBe(1);
  expect(traceIdOf(summaries[0]!.notes)).toBeUndefined();
});

test('a request is a child of its caller, and encoding and scoring are its children', async () => {
  useSdk();
  const { url } = await start();
  await rerank(url, ['short', 'far longer than eight'], { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  await expect.poll(() => ended.length).toBe(3);
  const own = '0000000000000001';
  expect(ended).toEqual([
    {
      name: 'tokenize',
      parent: own,
      kind: undefined,
      attributes: { 'wgrank.pairs': 2 },
      ms: expect.any(Number),
    },
    { name: 'score', parent: own, kind: undefined, attributes: { 'wgrank.queue_ms': queueMs }, ms: expect.any(Number) },
    {
      name: 'POST /v1/rerank',
      parent: 'b7ad6b7169203331',
      kind: SpanKind.SERVER,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/rerank',
        'http.response.status_code': 200,
        'wgrank.documents': 2,
        'wgrank.tokens': 13,
        'wgrank.truncated_documents': 1,
      },
      ms: undefined,
    },
  ]);
  expect(ended[0]!.ms).toBeGreaterThan(3);
  expect(ended[1]!.ms).toBeGreaterThan(queueMs);
  expect(traceIdOf(summaries[0]!.notes)).toBe(traceId);
});

test('failures of the server are marked, those of clients are not; no text gets into a trace', async () => {
  useSdk();
  const { url } = await start();
  await rerank(
    url,
    Array.from({ length: 13 }, () => 'giant panda'),
  );
  await fetch(`${url}/giant-panda?key=giant`);
  await expect.poll(() => ended.length).toBe(4);
  expect(ended[2]).toMatchObject({ name: 'POST /v1/rerank', status: { code: SpanStatusCode.ERROR } });
  expect(ended[3]).toMatchObject({ name: 'GET', attributes: { 'http.response.status_code': 404 } });
  expect(ended[3]).not.toHaveProperty('status');
  expect(JSON.stringify(ended)).not.toMatch(/giant|panda/);
});
