import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WgrankError } from '../errors.ts';
import type { RequestEncoder } from '../rerank/content-encoder.ts';
import type { MediaOptions, RequestEncoderOptions } from '../rerank/create-request-encoder-node.ts';
import { tokensBeyond, type Engine, type EngineInfo, type EngineOptions, type ModelKind } from '../rerank/engine.ts';
import type { Reranker } from '../rerank/reranker.ts';
import { createApp, type AppOptions } from './app.ts';
import type { EngineProcess, SpawnOptions } from './engine-process.ts';
import { createHttpServer, defaultTimeouts, type HttpTimeouts } from './http-server.ts';
import { RerankerSlot } from './reranker-slot.ts';

export interface ServeOptions extends AppOptions {
  /** Folder of the checkpoint. */
  readonly modelDir: string;
  /** What the operator typed; the default name of the model. */
  readonly model: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** What config.json says: decides how texts are put together. */
  readonly kind: ModelKind;
  readonly architecture: string;
  /** Longest pair in tokens. */
  readonly maxLength: number;
  /** False refuses pairs that are too long instead of cutting them. */
  readonly truncate: boolean;
  /** File of a decoder's chat template; default: the checkpoint's own, else the built-in prompt. */
  readonly chatTemplate?: string;
  /** Special-token strings in requests are text. */
  readonly escapeSpecialTokens?: boolean;
  readonly dtype?: EngineOptions['dtype'];
  readonly maxBatchTokens?: number;
  readonly tokenizerWorkers?: number;
  /** Where pictures and clips may come from; for models that see. */
  readonly media?: MediaOptions;
  readonly timeouts?: HttpTimeouts;
  /** How long `close` waits for requests in flight before it cuts them. Default 25,000 ms. */
  readonly drainLimitMs?: number;
}

/** What a server is put together from. */
export interface ServeParts {
  createEncoder(options: RequestEncoderOptions): Promise<RequestEncoder>;
  spawnEngine(options: EngineOptions, spawn: SpawnOptions): Promise<EngineProcess>;
  /** The reranker owns both: closing it closes them. */
  createReranker(parts: { engine: Engine; encoder: RequestEncoder }): Reranker;
}

export interface RunningServer {
  readonly url: string;
  /** Resolves when the model answers. Rejects with the reason when it cannot be loaded; the server is then still to be closed. */
  readonly ready: Promise<EngineInfo>;
  /** Not ready at once, no new connections, requests in flight finish. @returns false when the drain limit cut some */
  close(): Promise<boolean>;
}

/**
 * Listens at once (`/health` answers, `/ready` says 503) and loads the model meanwhile.
 * @throws WgrankError `listen-failed`
 */
export async function serve(options: ServeOptions, parts: ServeParts): Promise<RunningServer> {
  const log = options.log ?? (() => undefined);
  const slot = new RerankerSlot();
  const server = createHttpServer(createApp(slot, options), options.timeouts ?? defaultTimeouts);
  const url = await listen(server, options.host, options.port);
  server.on('error', (error) => log(`the HTTP server reports: ${error.message}`));
  const loading = new AbortController();
  const loaded = loadReranker(options, parts, loading).then(({ engine, reranker }) => {
    slot.fill(reranker);
    void engine.exited.then((reason) => {
      if (slot.readiness === 'ready') log(`the engine process ended: ${reason}; requests get 503 from now on`);
      slot.empty('failed');
    });
    return reranker;
  });
  const ready = loaded.then((reranker) => reranker.info);
  ready.catch(() => slot.empty('failed'));

  const close = async () => {
    slot.empty('stopping');
    loading.abort();
    const drained = await drain(server, options.drainLimitMs ?? 25_000);
    await loaded.then(
      (reranker) => reranker.close(),
      () => undefined,
    );
    return drained;
  };
  let closing: Promise<boolean> | undefined;
  return { url, ready, close: () => (closing ??= close()) };
}

/** Loads tokeniser and engine side by side; when one fails the other is given up. */
async function loadReranker(options: ServeOptions, parts: ServeParts, loading: AbortController) {
  const { modelDir, model, maxLength, dtype, maxBatchTokens } = options;
  const { kind, architecture, truncate, chatTemplate, escapeSpecialTokens, tokenizerWorkers: workers, media } = options;
  const ofEncoder = { kind, architecture, modelDir, truncate, chatTemplate, escapeSpecialTokens, workers, media };
  const encoding = parts.createEncoder({ ...ofEncoder, maxLength });
  const spawning = parts.spawnEngine(
    {
      modelDir,
      model,
      maxLength,
      ...(dtype === undefined ? {} : { dtype }),
      ...(maxBatchTokens === undefined ? {} : { maxBatchTokens }),
    },
    { signal: loading.signal },
  );
  try {
    let [encoder, engine] = await Promise.all([encoding, spawning]);
    const fits = engine.info.maxTokens - tokensBeyond(kind);
    if (fits < maxLength) {
      // The adapter binds less than the model reads: pairs are cut to what it does.
      await encoder.close();
      encoder = await parts.createEncoder({ ...ofEncoder, maxLength: fits });
    }
    if (encoder.prompt !== undefined) options.log?.(`prompt   ${encoder.prompt}`);
    return { engine, reranker: parts.createReranker({ engine, encoder }) };
  } catch (error) {
    loading.abort();
    const settled = await Promise.allSettled([encoding, spawning]);
    await Promise.all(settled.map((part) => (part.status === 'fulfilled' ? part.value.close() : undefined)));
    throw error;
  }
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
