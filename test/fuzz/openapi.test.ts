import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../../src/server/app.ts';
import { get, type JsonAnswer } from '../server/dialects.ts';
import { createFakeReranker, listen, type RunningApp } from '../server/fake-reranker.ts';
import { tiered } from '../support/tier.ts';
import { ValueMaker, type JsonSchema } from './openapi-values.ts';
import { Random } from './random.ts';

const perOperation = tiered(100, 2_000);
const seed = 20_261_124;

interface Operation {
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { schema?: JsonSchema }>> }>>;
}
interface ApiDocument {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

/** The document says what bodies and answers an operation has; the README which of them a wire format has. */
interface Format {
  readonly body: string;
  readonly answers: readonly string[];
  readonly errors: readonly string[];
}
const ofPrefix: Readonly<Record<string, Format>> = {
  '/sglang': { body: 'SglangRerank', answers: ['SglangRanked'], errors: ['SglangError'] },
  '/jina': { body: 'Rerank', answers: ['JinaRanked'], errors: ['Error'] },
  '/cohere': { body: 'Rerank', answers: ['CohereRanked'], errors: ['CohereError'] },
  '/vllm': { body: 'Rerank', answers: ['VllmRanked'], errors: ['VllmError'] },
  '/tei': { body: 'TeiRerank', answers: ['TeiRanked'], errors: ['TeiError'] },
  '/voyage': { body: 'Rerank', answers: ['VoyageRanked'], errors: ['VoyageError'] },
};

function formatOf(server: string, path: string, random: Random): Format {
  const prefixed = ofPrefix[server];
  const errors = prefixed?.errors ?? ['Error'];
  if (path.endsWith('score'))
    return server === '/sglang'
      ? { body: 'SglangScore', answers: ['SglangScored'], errors }
      : { body: 'Score', answers: ['Scored'], errors };
  if (path.endsWith('/ranking')) return { body: 'NvidiaRanking', answers: ['NvidiaRankings'], errors };
  if (prefixed !== undefined) return prefixed;
  if (path === '/v1/rerank') return ofPrefix['/sglang']!;
  return random.pick([
    { body: 'Rerank', answers: ['Ranked', 'VoyageRanked'], errors: ['Error', 'VoyageError'] },
    { body: 'TeiRerank', answers: ['TeiRanked'], errors: ['TeiError'] },
    { body: 'NvidiaRanking', answers: ['NvidiaRankings'], errors: ['Error'] },
  ]);
}

/** Why a body that fits its schema may be refused: no schema can say it, or this model does not do it, and the answer says so. */
const meanings = [
  /cannot be empty/, /must be a non-empty string/, /contains a (NUL character|lone surrogate)/, /^This model reads text only\.$/, /Left is not supported|'left' is not supported/,
  /^truncate 'START' is not supported/, /^item_first is not supported/, /^apply_softmax must be true/, /^label_token_ids must be/,
  /has none of rank_fields$/, /^max_tokens_per_query is for cross-encoders/, /^At least one of /, /^Input lengths must be either/, /^No pairs: /, /Input should be a valid string or an object with text, image or content/,
]; // prettier-ignore

let app: RunningApp;
let document: ApiDocument;
beforeAll(async () => {
  const reranker = createFakeReranker({ kind: 'text-decoder', scoringTokens: { yes: 1, no: 2 } });
  app = await listen(
    createApp(reranker, { metrics: (_request, response) => void response.type('text/plain').send('up 1\n') }),
  );
  ({ body: document } = await get(`${app.url}/openapi.json`));
});
afterAll(() => app.close());

const messageOf = ({ body }: JsonAnswer): string =>
  body?.message ?? body?.detail ?? body?.error?.message ?? String(body?.error);

test(
  'the OpenAPI contract is true',
  async () => {
    const { servers, paths, components } = document;
    const maker = new ValueMaker(components.schemas);
    const checkers = new Map(Object.entries(components.schemas).map(([name, schema]) => [name, maker.checker(schema)]));
    const fits = (names: readonly string[], value: unknown) =>
      names.some((name) => checkers.get(name)!.safeParse(value).success);
    const failures: string[] = [];
    const sums = { good: 0, accepted: 0, bad: 0, reads: 0 };

    const send = async (method: string, target: string, body?: string): Promise<JsonAnswer> => {
      const response = await fetch(app.url + target, {
        method,
        ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
      });
      const isJson = response.headers.get('content-type')?.startsWith('application/json');
      return {
        status: response.status,
        headers: response.headers,
        body: isJson ? await response.json() : await response.text(),
      };
    };

    const tryBody = async (server: string, path: string, method: string, operation: Operation, random: Random) => {
      const { body: name, answers, errors } = formatOf(server, path, random);
      const schema = components.schemas[name]!;
      const good = random.chance(50);
      const value = good ? maker.fitting(schema, random) : maker.unfitting(schema, random);
      if (value === undefined) return;
      const sent = JSON.stringify(value);
      const answer = await send(method.toUpperCase(), (server === '/' ? '' : server) + path, sent);
      const { status, body } = answer;
      const what = `${method} ${server} ${path} ${sent.slice(0, 400)}: ${status} ${JSON.stringify(body).slice(0, 400)}`;
      const described = JSON.stringify(operation.requestBody).includes(`/${name}"`);
      if (!described) failures.push(`a body that the document does not have: ${what}`);
      const declared = operation.responses[String(status)] ?? operation.responses['default'];
      const names = status === 200 ? answers : errors;
      if (!names.some((one) => JSON.stringify(declared).includes(`/${one}"`)))
        failures.push(`an answer that it does not have: ${what}`);
      if (!fits(names, body)) failures.push(`an answer of another form than ${names.join(' or ')}: ${what}`);
      if (status >= 500) failures.push(`a failure: ${what}`);
      if (good) {
        sums.good++;
        if (status === 200) sums.accepted++;
        else if (!meanings.some((meaning) => meaning.test(messageOf(answer))))
          failures.push(`good and refused: ${what}`);
      } else {
        sums.bad++;
        if (status !== 400 && status !== 422) failures.push(`bad and not refused: ${what}`);
      }
    };

    const tryRead = async (server: string, path: string, operation: Operation, random: Random) => {
      sums.reads++;
      const segment = random.pick([
        'fake/tiny-reranker',
        'swagger-ui.css',
        'x',
        '%00',
        '%F0%9F%90%BC',
        '..%2f..',
        'a'.repeat(500),
      ]);
      const target = `${server === '/' ? '' : server}${path.replace(/\{\w+\}/, segment)}${random.chance(30) ? '?a[b]=%ff' : ''}`;
      const { status, body, headers } = await send('GET', target);
      const what = `GET ${target}: ${status} ${JSON.stringify(body)?.slice(0, 300)}`;
      const [type, { schema = undefined } = {}] = Object.entries(
        operation.responses[status === 200 ? '200' : 'default']!.content,
      )[0]!;
      if (status !== 200 && status !== 400 && status !== 404) failures.push(`undeclared: ${what}`);
      // TEI's probes have no bodies.
      const empty = server === '/tei' && status === 200 && body === '';
      if (schema !== undefined && !empty && !maker.checker(schema).safeParse(body).success)
        failures.push(`an answer of another form: ${what}`);
      if (schema === undefined && type !== '*/*' && !empty && !headers.get('content-type')?.startsWith(type))
        failures.push(`not ${type}: ${what}`);
    };

    let operations = 0;
    for (const [path, item] of Object.entries(paths))
      for (const [method, operation] of Object.entries(item).filter(([, one]) => 'responses' in one)) {
        operations++;
        for (let i = 0; i < perOperation && failures.length < 20; i++) {
          const random = new Random(seed + 10_007 * operations + i);
          const { url } = servers[i % servers.length]!;
          if (operation.requestBody) await tryBody(url, path, method, operation, random);
          else if (path !== '/' || url === '/tei') await tryRead(url, path, operation, random);
        }
      }
    console.log(JSON.stringify(sums));
    expect(failures).toEqual([]);
    // Bodies that are all refused for their meaning, or none that is bad, would prove little.
    expect(sums.accepted).toBeGreaterThan(sums.good / 4);
    expect(sums.bad).toBeGreaterThan(sums.good / 2);
  },
  tiered(120_000, 1_800_000),
);
