import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { secureHeaders } from '../../src/server/access.ts';
import { createApp } from '../../src/server/app.ts';
import { namedSchemas, type SchemaName } from '../../src/server/openapi-schemas.ts';
import { toOpenApiPath } from '../../src/server/openapi.ts';
import { get, post } from './dialects.ts';
import { createFakeReranker, listen, type RunningApp } from './fake-reranker.ts';

const info = { kind: 'text-decoder', scoringTokens: { yes: 1, no: 2 } } as const;
const express = createApp(createFakeReranker(info), {
  before: [secureHeaders()],
  metrics: (_request, response) => void response.send('up 1\n'),
});
let app: RunningApp;
// oxlint-disable-next-line typescript/no-explicit-any -- a document of many forms
let document: any;
beforeAll(async () => {
  app = await listen(express);
  ({ body: document } = await get(`${app.url}/openapi.json`));
});
afterAll(() => app.close());

/** What Express answers, as its router holds it. */
function registered(): { path: string; methods: string[] }[] {
  return express.router.stack.flatMap(({ route }) => {
    if (route === undefined) return [];
    const methods = route.stack.map(({ method }) => method).filter((method) => method !== undefined);
    return [{ path: route.path, methods: [...new Set(methods)] }];
  });
}

test('the document describes every route, by every method, and nothing else', () => {
  const routes = registered();
  expect(routes.length).toBeGreaterThan(20);
  const described = Object.entries(document.paths as Record<string, object>).map(([path, item]) => [
    path,
    Object.keys(item).filter((key) => key !== 'parameters'),
  ]);
  expect(described).toEqual(routes.map(({ path, methods }) => [toOpenApiPath(path), methods]));
  // Whatever else stands in the router answers no path of its own.
  const others = express.router.stack.filter(({ route }) => route === undefined);
  expect(others.map((layer) => (layer as unknown as { slash: boolean }).slash)).toEqual([true, true, true, true]);
});

test('it is OpenAPI 3.1 whose references all lead somewhere', () => {
  expect(document.openapi).toBe('3.1.0');
  expect(document.servers.map(({ url }: { url: string }) => url)).toEqual(
    expect.arrayContaining(['/', '/sglang', '/jina', '/cohere', '/vllm', '/tei', '/voyage']),
  );
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name!,
  );
  expect(new Set(references)).toEqual(new Set(Object.keys(namedSchemas)));
  expect(Object.keys(document.components.schemas).toSorted()).toEqual(Object.keys(namedSchemas).toSorted());
  expect(JSON.stringify(document)).not.toMatch(/\$defs|\$schema|"\$id"/);
  const ids = Object.values(document.paths as Record<string, Record<string, { operationId?: string }>>)
    .flatMap((item) => Object.values(item).map(({ operationId }) => operationId))
    .filter((id) => id !== undefined);
  expect(new Set(ids).size).toBe(ids.length);
});

test('a key may come in either header, or none where the server has none', () => {
  expect(document.security).toEqual([{}, { bearer: [] }, { apiKey: [] }]);
  expect(document.components.securitySchemes).toEqual({
    bearer: { type: 'http', scheme: 'bearer' },
    apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
  });
});

test('TEI’s users find it where TEI has it', async () => {
  expect((await get(`${app.url}/tei/api-doc/openapi.json`)).body).toEqual(document);
});

/** A schema whose objects have no keys but the named ones. */
const isAnswer = (name: SchemaName, value: unknown) => {
  const parsed = namedSchemas[name].safeParse(value);
  expect(parsed.error?.message).toBeUndefined();
  // What the schema does not name it does not give back: so nothing is answered that is not described.
  expect(parsed.data).toEqual(value);
};

describe('answers are as described', () => {
  const query = 'q';
  const documents = ['1 a', '2 b'];
  test.each<[string, object, SchemaName]>([
    ['/v1/rerank', { query, documents }, 'SglangRanked'],
    ['/rerank', { query, documents, return_documents: true }, 'Ranked'],
    ['/v2/rerank', { query, documents: ['x'.repeat(600)] }, 'Ranked'],
    ['/jina/rerank', { query, documents }, 'JinaRanked'],
    ['/cohere/rerank', { query, documents }, 'CohereRanked'],
    ['/vllm/rerank', { query, documents: ['1 a', { text: 'b' }] }, 'VllmRanked'],
    ['/voyage/rerank', { query, documents }, 'VoyageRanked'],
    ['/tei/rerank', { query, texts: documents, return_text: true }, 'TeiRanked'],
    ['/v1/ranking', { query, passages: documents }, 'NvidiaRankings'],
    ['/score', { text_1: query, text_2: documents }, 'Scored'],
    ['/sglang/score', { query, items: documents, label_token_ids: [1, 2], apply_softmax: true }, 'SglangScored'],
    ['/v1/rerank', {}, 'SglangError'],
    ['/rerank', {}, 'Error'],
    ['/vllm/rerank', {}, 'VllmError'],
    ['/cohere/rerank', {}, 'CohereError'],
    ['/voyage/rerank', {}, 'VoyageError'],
    ['/tei/rerank', {}, 'TeiError'],
  ])('POST %s %j: %s', async (path, body, name) => {
    isAnswer(name, (await post(app.url + path, body)).body);
  });

  test.each<[string, SchemaName]>([
    ['/v1/models', 'ModelList'],
    ['/models', 'ModelList'],
    ['/v1/models/fake/tiny-reranker', 'Model'],
    ['/model_info', 'SglangModelInfo'],
    ['/server_info', 'SglangServerInfo'],
    ['/info', 'Info'],
    ['/health', 'Status'],
    ['/ready', 'Status'],
    ['/ping', 'Status'],
    ['/health_generate', 'Status'],
    ['/version', 'Version'],
  ])('GET %s: %s', async (path, name) => {
    isAnswer(name, (await get(app.url + path)).body);
  });
});

test('/metrics is whoever’s it was given', async () => {
  expect(await (await fetch(`${app.url}/metrics`)).text()).toBe('up 1\n');
  const without = await listen(createApp(createFakeReranker()));
  expect((await get(`${without.url}/metrics`)).status).toBe(404);
  expect(Object.keys((await get(`${without.url}/openapi.json`)).body.paths)).not.toContain('/metrics');
  await without.close();
});

describe('/docs', () => {
  test('is a page without scripts of its own, which needs nothing from elsewhere', async () => {
    const response = await fetch(`${app.url}/docs`);
    expect(new URL(response.url).pathname).toBe('/docs/');
    const policy = response.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none';script-src 'self';");
    // One policy for all that the server says.
    expect(policy).toBe((await fetch(`${app.url}/health`)).headers.get('content-security-policy'));
    const page = await response.text();
    expect(page).not.toMatch(/https?:|<script(?! src="[\w-]+\.js"><\/script>)|<style| on\w+=/);
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file!);
    expect(files).toHaveLength(4);
    for (const file of files) {
      const found = await fetch(new URL(file, response.url));
      expect([file, found.status]).toEqual([file, 200]);
      expect((await found.arrayBuffer()).byteLength).toBeGreaterThan(50);
    }
  });

  test('stands below every prefix, and its document there too', async () => {
    const response = await fetch(`${app.url}/jina/docs`);
    expect(response.url).toBe(`${app.url}/jina/docs/`);
    const start = await (await fetch(new URL('start.js', response.url))).text();
    const [, address] = /url: '([^']+)'/.exec(start)!;
    expect((await get(new URL(address!, response.url).href)).body.openapi).toBe('3.1.0');
  });

  test.each(['package.json', '..%2fpackage.json', '%2e%2e%2fREADME.md', 'swagger-ui.js.map', 'index.html'])(
    'has no %s',
    async (file) => {
      expect((await get(`${app.url}/docs/${file}`)).status).toBe(404);
    },
  );
});
