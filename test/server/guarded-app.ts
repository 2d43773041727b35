import { once } from 'node:events';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { guardAccess, type AccessOptions } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { answerErrors, refuseUnknownRoute } from '../../src/server/error-answer.ts';

/** Routes of the server as clients may write them, public ones aside. */
export const guardedRoutes = `
  POST /v1/rerank, POST /v2/rerank, POST /rerank, POST /v1/reranking, POST /reranking, POST /v1/reranks, POST /v1/ranking,
  POST /score, POST /v1/score, POST /sglang/v1/score, POST /jina/v1/rerank, POST /cohere/v2/rerank, POST /vllm/score,
  POST /tei/rerank, PUT /v1/rerank, OPTIONS /v1/rerank, GET /v1/models, GET /v1/models/some/name, GET /model_info,
  GET /get_model_info, GET /info, GET /version, GET /metrics, GET /openapi.json, GET /docs, GET /docs/swagger-ui.css, GET /,
  GET /ping, GET /health/, GET /HEALTH, GET //health, GET /tei/health, HEAD /v1/models, GET /no/such/route
`
  .trim()
  .split(/,\s+/)
  .map((route) => route.split(' ') as [method: string, path: string]);

/** The guards in front of an app that answers whatever gets through with 200. */
export async function startGuarded(options: Partial<AccessOptions> & { readonly apiKeys?: readonly string[] } = {}) {
  const { apiKeys = [], ...rest } = options;
  const app = express();
  // As the server takes off what selects a wire format.
  app.use((request, _response, next) => {
    request.url = request.url.replace(/^\/tei\//, '/');
    next();
  });
  app.use(guardAccess({ host: '127.0.0.1', keys: new ApiKeys(apiKeys), ...rest }));
  app.all('*path', (_request, response) => void response.json({ secret: 'answer' }));
  app.all('/', (_request, response) => void response.json({ secret: 'answer' }));
  app.use(refuseUnknownRoute);
  app.use(answerErrors(() => undefined));
  return listen(app);
}

export interface GuardedApp {
  readonly url: string;
  close(): void;
}

export async function listen(app: Express): Promise<GuardedApp> {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A request with exactly these headers: `fetch` sets Host and Origin itself. */
export async function ask(
  { url }: Pick<GuardedApp, 'url'>,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string | readonly string[]> } = {},
): Promise<Answer> {
  const { hostname, port, host } = new URL(url);
  const sent = request({ host: hostname, port, path, method, setHost: false, agent: false });
  for (const [name, value] of Object.entries({ host, ...headers })) sent.setHeader(name, value);
  sent.end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, headers: response.headers, text };
}

/** @returns the first line of what a socket answers to these bytes */
export async function say({ url }: Pick<GuardedApp, 'url'>, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(text, 'latin1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  await once(socket, 'close');
  return answer.split('\r\n')[0]!;
}
