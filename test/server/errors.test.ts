import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorCatalogue, type ErrorCode } from '../../src/errors.ts';
import { errorStatuses, toErrorAnswer } from '../../src/server/error-answer.ts';
import { createFakeReranker, postRerank, startApp, type RunningApp } from './fake-reranker.ts';

const logged: string[] = [];
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(createFakeReranker(), { log: (line) => logged.push(line) });
});
afterAll(() => app.close());

const codes = Object.keys(errorCatalogue) as ErrorCode[];

describe('the two tables', () => {
  test('every code of the catalogue has a status, and no status lacks a code', () => {
    expect(Object.keys(errorStatuses).toSorted()).toEqual(codes.toSorted());
  });

  test.each(codes)('%s', async (code) => {
    const { status, type } = errorStatuses[code];
    expect([400, 429, 499, 500, 503, 504]).toContain(status);
    const response = await postRerank(app.url, { query: `throw:${code}`, documents: ['a'] });
    const body = (await response.json()) as { message: string };
    expect(response.status).toBe(status);
    expect(body).toEqual({ object: 'error', message: body.message, type, param: null, code: status });
    expect(response.headers.get('retry-after')).toBe(status === 429 || status === 503 ? '2' : null);
    expect(response.headers.get('retry-after-ms')).toBe(status === 429 || status === 503 ? '2000' : null);
    if (status < 500) expect(body.message).toBe('[fake] details of /secret/path');
    else expect(body.message).toBe((status === 500 ? 'Internal server error: ' : '') + errorCatalogue[code]);
  });
});

test('failures of the server are logged with what the client does not see', () => {
  expect(logged).toContain('POST /v1/rerank 503: [fake] details of /secret/path');
  expect(logged.filter((line) => line.includes(' 400: '))).toEqual([]);
});

test('an unnamed failure is 500 and leaks nothing', async () => {
  const response = await postRerank(app.url, { query: 'throw', documents: ['a'] });
  expect(response.status).toBe(500);
  expect(await response.json()).toEqual({
    object: 'error',
    message: 'Internal server error: unexpected failure',
    type: 'InternalServerError',
    param: null,
    code: 500,
  });
  expect(logged.at(-1)).toContain('TypeError: a bug at /secret/path\n    at ');
});

test('a score that is not a number is a failure, never a null', async () => {
  const response = await postRerank(app.url, { query: 'nan', documents: ['a'] });
  expect(response.status).toBe(500);
  expect(await response.json()).toMatchObject({
    message: 'Internal server error: a score came out as NaN or infinite',
  });
});

test.each([undefined, null, 'text', { status: 404 }, Object.assign(new Error('x'), { status: 302 })])(
  'thrown %j is 500',
  (thrown) => {
    expect(toErrorAnswer(thrown).body).toMatchObject({ code: 500, type: 'InternalServerError' });
  },
);
