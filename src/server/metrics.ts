import process from 'node:process';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestHandler } from 'express';
import { EventLoopDelay } from './event-loop-delay.ts';
import { failureOf, methodOf } from './metric-labels.ts';
import { ModelGauges, type MeteredModel } from './model-gauges.ts';
import type { RequestListener, RequestSummary } from './request-notes.ts';

export interface MetricsOptions {
  /** Asked at every scrape. */
  readonly models: () => readonly MeteredModel[];
  readonly version: string;
}

/** Seconds, up to the default deadline. */
const durations = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** 1, 2, 4 … as TEI has them. */
const powersOfTwo = (count: number) => Array.from({ length: count }, (_, i) => 2 ** i);

/**
 * Prometheus metrics in a registry of their own. Names that begin with `te_` are text-embeddings-inference's, with its meanings and
 * units (seconds), so that its dashboards and alerts fit; what it does not have begins with `wgrank_`. The prefixes are fixed for
 * the same reason. Labels come from short fixed lists and from the names of models: no request can add a series.
 */
export class ServerMetrics implements RequestListener {
  readonly registry = new Registry();
  readonly #models: ModelGauges;
  readonly #loop = new EventLoopDelay();
  readonly #http: Counter<'method' | 'route' | 'status'>;
  readonly #inFlight: Gauge;
  readonly #count: Counter<'method'>;
  readonly #success: Counter<'method'>;
  readonly #failure: Counter<'err'>;
  readonly #total: Histogram;
  readonly #tokenization: Histogram;
  readonly #queue: Histogram;
  readonly #inference: Histogram;
  readonly #inputLength: Histogram;
  readonly #batchSize: Histogram;
  readonly #batchTokens: Histogram;
  readonly #truncated: Counter;
  readonly #broken: Counter;

  constructor({ models, version }: MetricsOptions) {
    const registers = [this.registry];
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name, help, buckets, registers });
    this.#count = new Counter({
      name: 'te_request_count',
      help: 'Requests for scores',
      labelNames: ['method'],
      registers,
    });
    this.#success = new Counter({
      name: 'te_request_success',
      help: 'Requests for scores that were answered',
      labelNames: ['method'],
      registers,
    });
    this.#failure = new Counter({
      name: 'te_request_failure',
      help: 'Requests for scores that failed',
      labelNames: ['err'],
      registers,
    });
    this.#total = histogram('te_request_duration', 'Seconds from request to answer', durations);
    this.#tokenization = histogram('te_request_tokenization_duration', 'Seconds until texts were tokens', durations);
    this.#queue = histogram('te_request_queue_duration', 'Seconds in the queue', durations);
    this.#inference = histogram('te_request_inference_duration', 'Seconds at the engine', durations);
    this.#inputLength = histogram('te_request_input_length', 'Tokens of a pair', powersOfTwo(16));
    this.#batchSize = histogram('te_batch_next_size', 'Pairs of a batch for the engine', powersOfTwo(13));
    this.#batchTokens = histogram('te_batch_next_tokens', 'Tokens of a batch for the engine', powersOfTwo(21));
    this.#truncated = new Counter({
      name: 'wgrank_truncated_documents_total',
      help: 'Documents that were cut to the model’s length',
      registers,
    });
    this.#http = new Counter({
      name: 'wgrank_http_requests_total',
      help: 'Requests by route and status',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'wgrank_http_requests_in_flight',
      help: 'Requests without an answer',
      registers,
    });
    this.#broken = new Counter({
      name: 'wgrank_http_broken_requests_total',
      help: 'What was no HTTP, or too slow, and has no route',
      registers,
    });
    new Gauge({ name: 'wgrank_info', help: 'Version', labelNames: ['version'], registers }).set({ version }, 1);
    this.#models = new ModelGauges(models, registers);
    this.#loop.register(registers);
    registerProcess(registers);
    this.#count.inc({ method: 'batch' }, 0);
    this.#success.inc({ method: 'batch' }, 0);
  }

  begin(): void {
    this.#inFlight.inc();
  }

  end({ notes, method, status, ms }: RequestSummary): void {
    this.#inFlight.dec();
    this.#http.inc({ method: methodOf(method), route: notes.route ?? 'none', status });
    if (!notes.scoring) return;
    this.#count.inc({ method: 'batch' });
    for (const length of notes.lengths) this.#inputLength.observe(length);
    if (notes.truncatedDocuments > 0) this.#truncated.inc(notes.truncatedDocuments);
    if (status >= 400) return this.#failure.inc({ err: failureOf(status) });
    this.#success.inc({ method: 'batch' });
    this.#total.observe(ms / 1000);
    this.#tokenization.observe(notes.tokenizeMs / 1000);
    this.#queue.observe(notes.queueMs / 1000);
    this.#inference.observe(notes.inferenceMs / 1000);
  }

  /** A batch, or a slice of about a batch, goes to an engine. */
  observeBatch(pairs: number, tokens: number): void {
    this.#batchSize.observe(pairs);
    this.#batchTokens.observe(tokens);
  }

  /** A socket said something that never became a request. */
  countBroken(): void {
    this.#broken.inc();
  }

  /** Text in Prometheus' format. */
  async render(): Promise<string> {
    await this.#models.refresh();
    return this.registry.metrics();
  }

  /** `GET /metrics` */
  show(): RequestHandler {
    return async (_request, response) => {
      const text = await this.render();
      response.setHeader('Content-Type', this.registry.contentType);
      response.send(text);
    };
  }

  close(): void {
    this.#loop.close();
  }
}

function registerProcess(registers: Registry[]): void {
  void new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the server’s own process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process began, seconds since 1970',
    registers,
  }).set(Math.round(performance.timeOrigin / 1000));
  void new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the server’s own process',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
