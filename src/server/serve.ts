import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestHandler } from 'express';
import { WgrankError } from '../errors.ts';
import type { EngineInfo } from '../rerank/engine.ts';
import { callerOf, guardAccess, type AccessOptions } from './access.ts';
import { Admission } from './admission.ts';
import { ApiKeys } from './api-keys.ts';
import { createApp, defaultMaxBodyBytes, type AppOptions } from './app.ts';
import { createHttpServer, defaultTimeouts, type HttpTimeouts } from './http-server.ts';
import { createLogger, type Logger } from './log.ts';
import { createMetricsApp } from './metrics-app.ts';
import { ServerMetrics } from './metrics.ts';
import { ModelDirectory } from './model-directory.ts';
import { readPackageVersion } from './package-version.ts';
import { logRequests } from './request-log.ts';
import { takeNotes } from './request-notes.ts';
import { ServedModel, type ModelOptions, type ModelParts } from './serve-model.ts';
import { traceRequests } from './tracing.ts';

export interface ServeOptions extends Pick<
  AppOptions,
  'apiDialect' | 'maxBodyBytes' | 'maxDocuments' | 'requestTimeoutMs' | 'servedModelName'
> {
  /** The first one answers requests that name none. */
  readonly models: readonly [ModelOptions, ...ModelOptions[]];
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Who may ask; default: whoever reaches the address. */
  readonly access?: Omit<AccessOptions, 'host'>;
  /** Port of `/metrics` on the same host, 0 for any free one; default: a route beside all others. */
  readonly metricsPort?: number;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  readonly timeouts?: HttpTimeouts;
  /** How long `close` waits for requests in flight before it cuts them. Default 20,000 ms. */
  readonly drainLimitMs?: number;
}

export interface RunningServer {
  readonly url: string;
  /** Where `/metrics` has a port of its own. */
  readonly metricsUrl: string | undefined;
  /**
   * Resolves when every model answers, in their order. Rejects with the reason when one cannot be loaded; the server is then still
   * to be closed.
   */
  readonly ready: Promise<readonly EngineInfo[]>;
  /** Not ready at once, soon no new connections; what has come is answered. @returns false when the drain limit cut some */
  close(): Promise<boolean>;
}

/**
 * The door stays open this long when the server stops: connections that the system has taken and this process has not would be reset,
 * and balancers that ask meanwhile hear that the server is not ready.
 */
const longestLingerMs = 250;
/** Bodies that are worked on at a time take this many times the largest one. */
const heldBodies = 4;
/** Requests with pictures hold more than their bodies while they wait. */
const maxMediaRequests = 64;

/**
 * Listens at once (`/health` answers, `/ready` says 503) and loads the models meanwhile, one after the other: each takes all of
 * disk and memory bandwidth.
 * @throws WgrankError `listen-failed`
 */
export async function serve(options: ServeOptions, parts: ModelParts): Promise<RunningServer> {
  const logger = options.logger ?? createLogger({ level: 'silent', format: 'json' });
  const models: ServedModel[] = [];
  const metrics = new ServerMetrics({ version: readPackageVersion(), models: () => models });
  const log = (line: string) => logger.info(line);
  const warn = (line: string) => logger.warn(line);
  const listener = { log, warn, observeBatch: metrics.observeBatch.bind(metrics) };
  const only = options.models.length === 1 ? options.servedModelName : undefined;
  models.push(...options.models.map((model) => new ServedModel(model, parts, listener, only)));
  const access: AccessOptions = { keys: new ApiKeys([]), ...options.access, host: options.host };
  const reportError = (line: string) => logger.error(line);

  let closing: Promise<boolean> | undefined;
  const hasOwnPort = options.metricsPort !== undefined;
  const app = createApp(new ModelDirectory(models), {
    ...options,
    truncate: options.models[0].truncate,
    ...(options.models[0].tokenizerWorkers === undefined
      ? {}
      : { tokenizerWorkers: options.models[0].tokenizerWorkers }),
    admission: admit(models, options),
    before: [
      closeWhile(() => closing !== undefined),
      takeNotes(metrics, logRequests(logger)),
      traceRequests(),
      ...guardAccess(access),
    ],
    ...(hasOwnPort ? {} : { metrics: metrics.show() }),
    log: reportError,
  });
  const timeouts = options.timeouts ?? defaultTimeouts;
  const open = async (handler: typeof app, port: number) => {
    const server = createHttpServer(handler, timeouts, () => metrics.countBroken());
    const url = await listen(server, options.host, port);
    server.on('error', (error) => logger.error(`the HTTP server reports: ${error.message}`));
    return { server, url };
  };
  const doors: Awaited<ReturnType<typeof open>>[] = [];
  try {
    doors.push(await open(app, options.port));
    if (hasOwnPort) doors.push(await open(createMetricsApp(metrics, access, reportError), options.metricsPort));
  } catch (error) {
    metrics.close();
    for (const { server } of doors) server.close();
    throw error;
  }
  const [main, beside] = doors as [(typeof doors)[0], (typeof doors)[0]?];

  const loading = new AbortController();
  const loaded = loadAll(models, loading.signal);
  loaded.catch(() => undefined);
  const close = async () => {
    const rerankers = models.map(({ slot }) => slot.loaded);
    for (const { slot } of models) slot.stop();
    loading.abort();
    const limitMs = options.drainLimitMs ?? 20_000;
    const lingerMs = Math.min(longestLingerMs, limitMs);
    await sleep(lingerMs);
    const drained = await drain(main.server, limitMs - lingerMs);
    await loaded.catch(() => undefined);
    await Promise.all(rerankers.map((reranker) => reranker?.close()));
    // Whoever watches the drain sees it to its end.
    if (beside) await drain(beside.server, 0);
    metrics.close();
    return drained;
  };
  return { url: main.url, metricsUrl: beside?.url, ready: loaded, close: () => (closing ??= close()) };
}

async function loadAll(models: readonly ServedModel[], stop: AbortSignal): Promise<EngineInfo[]> {
  const infos = [];
  for (const model of models) infos.push(await model.load(stop));
  return infos;
}

/** Requests are refused unread while no model has room for them. */
function admit(models: readonly ServedModel[], { maxBodyBytes = defaultMaxBodyBytes, ...options }: ServeOptions) {
  const sees = options.models.some(({ kind }) => kind === 'vl-decoder');
  return new Admission({
    maxHeldBytes: heldBodies * maxBodyBytes,
    ...(sees && { maxRequests: maxMediaRequests }),
    refusal: ({ res }) => {
      const group = res && callerOf(res);
      const refusals = models.filter((model) => model.open).map((model) => model.refusal(group));
      return refusals.length > 0 && refusals.every((refusal) => refusal !== undefined) ? refusals[0] : undefined;
    },
  });
}

/** Clients that keep their connections would hold up the drain, and meet a reset when it ends. */
function closeWhile(stopping: () => boolean): RequestHandler {
  return (_request, response, next) => {
    if (stopping()) response.setHeader('Connection', 'close');
    next();
  };
}

/** @returns the address with the port that was taken */
function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'another process uses it (choose another --port)' : error.message;
      reject(new WgrankError('listen-failed', 'server', `cannot listen on ${formatHost(host)}:${port}: ${reason}`));
    });
    server.listen({ host, port }, () => {
      resolve(`http://${formatHost(host)}:${(server.address() as AddressInfo).port}`);
    });
  });
}

const formatHost = (host: string) => (host.includes(':') ? `[${host}]` : host);

/** Idle keep-alive connections are closed as they become idle; what is left after the limit is cut. */
async function drain(server: Server, limitMs: number): Promise<boolean> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const sweeping = setInterval(() => server.closeIdleConnections(), 50);
  let drained = true;
  const limit = setTimeout(() => {
    drained = false;
    server.closeAllConnections();
  }, limitMs);
  await closed;
  clearInterval(sweeping);
  clearTimeout(limit);
  return drained;
}
