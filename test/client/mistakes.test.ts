import { afterEach, describe, expect, test } from 'vitest';
import { RerankClient, RerankClientError, RerankInputError, type RerankClientOptions } from '../../src/client/index.ts';
import { answerWith, failureOf, goodAnswer, startScript } from './scripted-server.ts';

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

const request = { query: 'q', documents: ['a', 'b'] };

async function start() {
  const server = await startScript(answerWith(200, goodAnswer));
  running.push(server);
  return { server, client: new RerankClient({ baseUrl: server.url }) };
}

describe('mistakes of the caller', () => {
  test.each<[object, RegExp]>([
    [{ baseUrl: '127.0.0.1:30000' }, /base URL/],
    [{ baseUrl: '/v1' }, /absolute URL/],
    [{ baseUrl: undefined }, /absolute URL/],
    [{ baseUrl: 'ftp://host' }, /http or https/],
    [{ baseUrl: 'http://me:hunter2@host' }, /apiKey/],
    [{ baseUrl: 'http://host/?a=1' }, /no query/],
    [{ apiKey: '' }, /API key/],
    [{ apiKey: 'hunter2\n' }, /API key/],
    [{ headers: { 'a b': 'c' } }, /headers/],
    [{ headers: { a: 'hunter2\nb: c' } }, /headers/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ timeoutMs: Number.NaN }, /timeoutMs/],
    [{ maxRetries: -1 }, /maxRetries/],
    [{ maxRetries: Infinity }, /maxRetries/],
  ])('options %j', (options, message) => {
    const make = () => new RerankClient({ baseUrl: 'http://host', ...options } as RerankClientOptions);
    expect(make).toThrow(RerankInputError);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/hunter2/);
  });

  test.each<[object, RegExp]>([
    [{ documents: 'a' }, /documents/],
    [{ topN: 0 }, /topN is 0/],
    [{ topN: Number.NaN }, /topN is NaN/],
    [{ topN: 1.5 }, /topN/],
    [{ maxTokensPerDoc: -1 }, /maxTokensPerDoc/],
    [{ maxTokensPerQuery: 0 }, /maxTokensPerQuery/],
    [{ timeoutMs: -1 }, /timeoutMs/],
    [{ query: 5n }, /JSON/],
  ])('requests %s', async (change, message) => {
    const { server, client } = await start();
    const error = await failureOf(client.rerank({ ...request, ...change } as never));
    expect(error).toBeInstanceOf(RerankInputError);
    expect(error).toBeInstanceOf(RerankClientError);
    expect(String(error)).toMatch(message);
    expect(server.arrivals).toHaveLength(0);
  });

  test('pairs that are none', async () => {
    const { client } = await start();
    for (const pairs of [undefined, 'ab', [null]])
      expect(await failureOf(client.score({ pairs } as never))).toBeInstanceOf(RerankInputError);
  });
});
