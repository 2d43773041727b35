import { STATUS_CODES } from 'node:http';
import { dialectNames } from './dialects/dialect.ts';
import type { ErrorShape } from './error-bodies.ts';
import { toJsonSchemas, type SchemaName } from './openapi-schemas.ts';
import type { Route } from './routes.ts';

const about = `Relevance scores from cross-encoders and decoders, in the wire formats of SGLang, Jina, Cohere, vLLM, TEI and Voyage.

Without a prefix a route answers as its description says. A prefix in front of any path (see *servers*) selects a wire format outright,
that of errors included: a client's base URL is \`http://host:port/jina\`, or \`http://host:port/jina/v1\` where it wants the version.

Scores on SGLang's format are raw logits of cross-encoders and p(yes) of decoders; everywhere else 0 … 1, unless logits are asked for.`;

const errorSchemas: Readonly<Record<ErrorShape, SchemaName>> = {
  sglang: 'SglangError',
  openai: 'OpenAiError',
  superset: 'Error',
  vllm: 'VllmError',
  cohere: 'CohereError',
  voyage: 'VoyageError',
  tei: 'TeiError',
};
const errorNames: readonly SchemaName[] = [...new Set(Object.values(errorSchemas))];

/** The OpenAPI 3.1 document of these routes. */
export function describeApi(routes: readonly Route[], version: string) {
  return {
    openapi: '3.1.0',
    info: { title: 'wgrank', version, description: about },
    servers: [
      { url: '/', description: 'Each route as described' },
      ...dialectNames.map((name) => ({ url: `/${name}`, description: `Everything as ${name}` })),
    ],
    tags: ['rerank', 'score', 'models', 'server'].map((name) => ({ name })),
    // A key is needed where the server was started with one.
    security: [{}, { bearer: [] }, { apiKey: [] }],
    paths: Object.fromEntries(routes.map((route) => [toOpenApiPath(route.path), describeRoute(route)])),
    components: {
      schemas: toJsonSchemas(),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
  };
}

/** `/v1/models/*id` and `/docs/:file` in OpenAPI's braces. */
export function toOpenApiPath(path: string): string {
  return path.replaceAll(/[*:](\w+)/g, '{$1}');
}

function describeRoute(route: Route) {
  const { path, methods } = route;
  const names = [...path.matchAll(/[*:](\w+)/g)].map(([, name]) => name!);
  const parameters = names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
  return {
    ...(parameters.length > 0 && { parameters }),
    ...Object.fromEntries(methods.map((method) => [method, describeOperation(route, method)])),
  };
}

function describeOperation({ path, errors, about: { summary, tag, bodies, answers } }: Route, method: string) {
  const isPublic = path === '/health' || path === '/ready';
  const failures = bodies === undefined ? [503] : [400, 413, 429, 500, 503, 504];
  return {
    summary,
    tags: [tag],
    operationId: `${method}${path.replaceAll(/[^\w]+(\w?)/g, (_, first: string) => first.toUpperCase())}`,
    ...(isPublic && { security: [] }),
    ...(bodies && { requestBody: { required: true, content: json(bodies) } }),
    responses: {
      200: {
        description: 'OK',
        content: typeof answers === 'string' ? { [answers]: {} } : json(answers),
      },
      ...Object.fromEntries(failures.map((status) => [status, describeFailure(status, errors)])),
      default: describeFailure(undefined, errors),
    },
  };
}

function describeFailure(status: number | undefined, errors: ErrorShape) {
  const first = errorSchemas[errors];
  const others = errorNames.filter((name) => name !== first);
  const retry = status === 429 || status === 503;
  const seconds = { schema: { type: 'integer' }, description: 'Seconds' };
  const milliseconds = { schema: { type: 'integer' }, description: 'Milliseconds' };
  return {
    description: status === undefined ? 'Any other refusal' : STATUS_CODES[status],
    ...(retry && { headers: { 'Retry-After': seconds, 'retry-after-ms': milliseconds } }),
    content: json([first, ...others]),
  };
}

function json(names: readonly SchemaName[]) {
  const references = names.map((name) => ({ $ref: `#/components/schemas/${name}` }));
  return { 'application/json': { schema: references.length === 1 ? references[0] : { anyOf: references } } };
}
