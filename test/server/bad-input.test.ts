import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFakeReranker, postRerank, startApp, type RunningApp } from './fake-reranker.ts';

const reranker = createFakeReranker();
const logged: string[] = [];
let app: RunningApp;
beforeAll(async () => {
  app = await startApp(reranker, { maxDocuments: 20, log: (line) => logged.push(line) });
});
afterAll(() => app.close());
// The server survives each case: it answers a good request right after, and nothing counted as its own failure.
afterEach(async () => {
  const response = await postRerank(app.url, { query: 'q', documents: ['1 a'] });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject([{ score: 1, index: 0 }]);
  expect(logged).toEqual([]);
});

async function expectRefusal(response: Response, status: number, type: string, message: string | RegExp) {
  const body = (await response.json()) as Record<string, unknown>;
  expect(response.status, JSON.stringify(body)).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  // OpenAI's clients ask for models, and look inside `error`.
  const inside = response.url.includes('/v1/models') ? ['error'] : [];
  expect(Object.keys(body)).toEqual(['object', 'message', 'type', 'param', 'code', ...inside]);
  expect(body).toMatchObject({ object: 'error', type, param: null, code: status });
  expect(body.message).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
}

describe('SGLang’s own checks, byte for byte', () => {
  test.each([
    ['', ['a'], 'Query cannot be empty'],
    [[], ['a'], 'Query cannot be empty'],
    [' \t\n', ['a'], 'Query cannot be empty or whitespace only'],
    ['\u3000\u00a0\u2028\x85\x1c', ['a'], 'Query cannot be empty or whitespace only'],
    ['q', [], 'Documents cannot be empty'],
    ['', [], 'Query cannot be empty'],
    [' ', [], 'Query cannot be empty or whitespace only'],
    ['q', [''], 'Each document must be a non-empty string'],
    ['q', ['a', []], 'Each document must be a non-empty string'],
    ['q', [' '], 'Each document cannot be empty or whitespace only'],
    ['q', ['a', '\n\r\x0b\x0c\x1f'], 'Each document cannot be empty or whitespace only'],
    ['q', ['a', ' ', ''], 'Each document cannot be empty or whitespace only'],
    ['q', ['a', '', ' '], 'Each document must be a non-empty string'],
  ])('query %j, documents %j', async (query, documents, message) => {
    await expectRefusal(await postRerank(app.url, { query, documents }), 400, 'BadRequestError', message);
  });

  test('a list is not looked into, and U+FEFF is not whitespace to Python', async () => {
    const blank = [{ type: 'text', text: ' ' }];
    expect((await postRerank(app.url, { query: blank, documents: [blank] })).status).toBe(200);
    expect((await postRerank(app.url, { query: '\ufeff', documents: ['\ufeff'] })).status).toBe(200);
  });
});

describe('schema: 400 Bad Request that names the field', () => {
  const good = { query: 'q', documents: ['a'] };
  const image = { type: 'image_url', image_url: { url: 'data:,' } };
  test.each<[unknown, string]>([
    [{}, '2 validation errors: body.query: Field required; body.documents: Field required'],
    [{ documents: ['a'] }, '1 validation error: body.query: Field required'],
    [{ query: 'q' }, '1 validation error: body.documents: Field required'],
    [{ ...good, query: null }, 'body.query: Input should be a valid string or a list of content parts'],
    [{ ...good, query: 5 }, 'body.query: Input should be a valid string or a list of content parts'],
    [{ ...good, query: true }, 'body.query: Input should be'],
    [{ ...good, query: { text: 'q' } }, 'body.query: Input should be'],
    [{ ...good, query: ['q'] }, 'body.query[0]: Input should be'],
    [{ ...good, query: [[]] }, 'body.query[0]: Input should be'],
    [{ ...good, documents: null }, 'body.documents: Input should be a valid list'],
    [{ ...good, documents: 'a' }, 'body.documents: Input should be a valid list'],
    [{ ...good, documents: { 0: 'a' } }, 'body.documents: Input should be a valid list'],
    [{ ...good, documents: [1] }, 'body.documents[0]: Input should be a valid string or a list of content parts'],
    [{ ...good, documents: ['a', null] }, 'body.documents[1]: Input should be'],
    [{ ...good, documents: ['a', { text: 'b' }] }, 'body.documents[1]: Input should be'],
    [{ ...good, documents: [['a']] }, 'body.documents[0][0]: Input should be'],
    [{ ...good, documents: [[{}]] }, "body.documents[0][0].type: Input should be a content part whose type is 'text'"],
    [{ ...good, documents: [[{ type: 'audio', text: 'a' }]] }, 'body.documents[0][0].type: Input should be'],
    [{ ...good, documents: [[{ type: 'text' }]] }, 'body.documents[0][0].text: Field required'],
    [
      { ...good, documents: [[{ type: 'text', text: 5 }]] },
      'body.documents[0][0].text: Input should be a valid string',
    ],
    [{ ...good, documents: [[{ type: 'image_url' }]] }, 'body.documents[0][0].image_url: '],
    [
      { ...good, documents: [[{ type: 'image_url', image_url: {} }]] },
      'body.documents[0][0].image_url.url: Field required',
    ],
    [{ ...good, documents: [[{ type: 'image_url', image_url: 'x' }]] }, 'body.documents[0][0].image_url: '],
    [
      { ...good, documents: [[{ type: 'video_url', video_url: { url: 1 } }]] },
      'body.documents[0][0].video_url.url: Input',
    ],
    [{ ...good, documents: [[{ ...image, modalities: 'x' }]] }, 'body.documents[0][0].modalities: '],
    [{ ...good, documents: [[{ ...image, image_url: { url: '', detail: 'x' } }]] }, 'image_url.detail: '],
    [
      { ...good, documents: [[{ ...image, image_url: { url: '', max_dynamic_patch: 'x' } }]] },
      'max_dynamic_patch: Input',
    ],
    [{ ...good, instruct: 5 }, 'body.instruct: Input should be a valid string'],
    [{ ...good, instruct: ['x'] }, 'body.instruct: Input should be a valid string'],
    [{ ...good, top_n: 0 }, '1 validation error: body.top_n: Value error, parameter top_n should be larger than 0.'],
    [{ ...good, top_n: -1 }, 'Value error, parameter top_n should be larger than 0.'],
    [{ ...good, top_n: false }, 'Value error, parameter top_n should be larger than 0.'],
    [{ ...good, top_n: '-3' }, 'Value error, parameter top_n should be larger than 0.'],
    [{ ...good, top_n: 1.5 }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: '1.5' }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: '1e3' }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: '' }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: '0x2' }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: '\u0663' }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: [] }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, top_n: {} }, 'body.top_n: Input should be a valid integer'],
    [{ ...good, return_documents: 2 }, 'body.return_documents: Input should be a valid boolean'],
    [{ ...good, return_documents: 0.5 }, 'body.return_documents: Input should be a valid boolean'],
    [{ ...good, return_documents: ' true ' }, 'body.return_documents: Input should be a valid boolean'],
    [{ ...good, return_documents: '' }, 'body.return_documents: Input should be a valid boolean'],
    [{ ...good, return_documents: [] }, 'body.return_documents: Input should be a valid boolean'],
    ['{"query":"q","documents":["a"],"top_n":1e400}', 'body.top_n: Input should be a valid integer'],
    ['{"__proto__":{"query":"q","documents":["a"]}}', 'body.query: Field required'],
    ['{"constructor":{"prototype":{"query":"q"}},"documents":["a"]}', 'body.query: Field required'],
    ['null', 'body: Input should be a valid dictionary or object'],
    ['[]', 'body: Input should be a valid dictionary or object'],
    ['"q"', 'body: Input should be a valid dictionary or object'],
    ['1', 'body: Input should be a valid dictionary or object'],
  ])('%j', async (body, part) => {
    const calls = reranker.calls.length;
    const escaped = part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    await expectRefusal(await postRerank(app.url, body), 400, 'Bad Request', new RegExp(escaped));
    expect(reranker.calls).toHaveLength(calls);
  });

  test('many errors make one short message', async () => {
    const response = await postRerank(app.url, { query: 1, documents: Array.from({ length: 20 }, () => 1), top_n: 0 });
    await expectRefusal(response, 400, 'Bad Request', /^22 validation errors: .*; and 17 more$/);
  });

  test('the prototype of objects stays clean', async () => {
    await postRerank(app.url, '{"__proto__":{"polluted":1},"query":"q","documents":["a"]}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('JSON', () => {
  test.each<[string, string | Uint8Array, string | RegExp]>([
    ['empty body', '', '1 validation error: body: Field required'],
    ['truncated', '{"query":"q","documents":["a"]', /^1 validation error: body: JSON decode error: not valid JSON/],
    ['trailing comma', '{"query":"q","documents":["a"],}', /JSON decode error/],
    ['single quotes', "{'query':'q'}", /JSON decode error: not valid JSON at position 1$/],
    ['comment', '{"query":"q"/* */}', /JSON decode error/],
    ['NaN', '{"query":"q","documents":["a"],"top_n":NaN}', /JSON decode error/],
    ['bare word', 'query=q&documents=a', /JSON decode error/],
    ['raw NUL in a string', '{"query":"q\0","documents":["a"]}', /JSON decode error/],
    ['raw newline in a string', '{"query":"q\n","documents":["a"]}', /JSON decode error/],
    ['unclosed string', '{"query":"q', /JSON decode error/],
    ['backslash at the end', '{"query":"q\\', /JSON decode error/],
    ['bad escape', String.raw`{"query":"\x41"}`, /JSON decode error/],
    ['two values', '{} {}', /JSON decode error/],
    ['only a bracket', ']', /JSON decode error/],
    ['UTF-16', new Uint8Array(Buffer.from('{"query":"q"}', 'utf16le')), /JSON decode error/],
    ['UTF-8 cut in a character', new Uint8Array([0x22, 0xe2, 0x82, 0x22]), /not valid UTF-8$/],
    ['a surrogate in UTF-8', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), /not valid UTF-8$/],
    ['overlong UTF-8', new Uint8Array([0x22, 0xc0, 0x80, 0x22]), /not valid UTF-8$/],
  ])('%s', async (_, body, message) => {
    await expectRefusal(await postRerank(app.url, body), 400, 'Bad Request', message);
  });

  test('a refusal does not quote the body', async () => {
    const body = await (await postRerank(app.url, '{"query":"my secret" "documents"}')).text();
    expect(body).not.toContain('secret');
  });

  test.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonl',
    'application/vnd.api+json',
    'application/json , text/plain',
    'application/json ;charset=utf-8',
    'multipart/form-data; boundary=x',
  ])('content type %s', async (type) => {
    const body = new TextEncoder().encode('{"query":"q","documents":["a"]}');
    const response = await postRerank(app.url, body, { headers: type === undefined ? {} : { 'content-type': type } });
    await expectRefusal(response, 400, 'Bad Request', "Unsupported Media Type: Only 'application/json' is allowed");
  });
});

describe('characters that no tokeniser defines', () => {
  test.each([
    [{ query: 'a\0b', documents: ['a'] }, 'query contains a NUL character (U+0000), which is not text'],
    [{ query: 'q', documents: ['a', '\0'] }, 'documents[1] contains a NUL character (U+0000), which is not text'],
    [{ query: 'q', documents: ['a'], instruct: '\0' }, 'instruct contains a NUL character (U+0000), which is not text'],
    [{ query: '\ud800', documents: ['a'] }, 'query contains a lone surrogate, which is not valid Unicode'],
    [{ query: 'q', documents: ['\udc00\ud800'] }, 'documents[0] contains a lone surrogate, which is not valid Unicode'],
    [
      { query: 'q', documents: ['\u{1f43c}\udc3c'] },
      'documents[0] contains a lone surrogate, which is not valid Unicode',
    ],
    [
      { query: [{ type: 'text', text: '\0' }], documents: ['a'] },
      'query[0].text contains a NUL character (U+0000), which is not text',
    ],
    [
      {
        query: 'q',
        documents: [
          [
            { type: 'text', text: 'a' },
            { type: 'image_url', image_url: { url: 'x\udfff' } },
          ],
        ],
      },
      'documents[0][1].image_url contains a lone surrogate, which is not valid Unicode',
    ],
  ])('%j', async (body, message) => {
    await expectRefusal(await postRerank(app.url, body), 400, 'BadRequestError', message);
  });

  test('pairs of surrogates, noncharacters and the replacement character are text', async () => {
    const response = await postRerank(app.url, { query: '\u{1f43c}\uffff\ufffd', documents: ['\u{10ffff}'] });
    expect(response.status).toBe(200);
  });
});

describe('requests that only the model can refuse', () => {
  test.each([
    [[{ type: 'image_url', image_url: { url: 'data:,' } }], ['a']],
    [
      'q',
      [
        [
          { type: 'text', text: 'a' },
          { type: 'video_url', video_url: { url: 'http://x/y.mp4' } },
        ],
      ],
    ],
  ])('media for a text model: %j %j', async (query, documents) => {
    const response = await postRerank(app.url, { query, documents });
    await expectRefusal(response, 400, 'BadRequestError', 'This model reads text only.');
  });

  test('more documents than allowed', async () => {
    const documents = Array.from({ length: 21 }, () => 'a');
    const message = 'Document count 21 exceeds limit 20 per request (raise the limit with --max-documents).';
    await expectRefusal(await postRerank(app.url, { query: 'q', documents }), 400, 'BadRequestError', message);
    expect((await postRerank(app.url, { query: 'q', documents: documents.slice(1) })).status).toBe(200);
  });
});

describe('routes and methods', () => {
  test.each([
    ['GET', '/v1/rerank', 405, 'POST, PUT'],
    ['DELETE', '/v1/rerank', 405, 'POST, PUT'],
    ['PATCH', '/v1/rerank', 405, 'POST, PUT'],
    ['OPTIONS', '/v1/rerank', 405, 'POST, PUT'],
    ['POST', '/health', 405, 'GET, HEAD'],
    ['PUT', '/ready', 405, 'GET, HEAD'],
    ['POST', '/v1/models', 405, 'GET, HEAD'],
    ['DELETE', '/v1/models/x', 405, 'GET, HEAD'],
    ['POST', '/get_model_info', 405, 'GET, HEAD'],
    ['GET', '/', 404, null],
    ['POST', '/v1', 404, null],
    ['POST', '/v1/rerankk', 404, null],
    ['GET', '/v1/models/%E0%A4%A', 400, null],
    ['GET', '/..%2f..%2fetc%2fpasswd', 404, null],
    ['POST', '/v1/rerank/extra?x[__proto__][y]=1', 404, null],
  ] as const)('%s %s: %s', async (method, path, status, allow) => {
    const response = await fetch(`${app.url}${path}`, { method });
    expect(response.headers.get('allow')).toBe(allow);
    const reason = { 400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed' }[status];
    await expectRefusal(response, status, reason, reason);
  });
});
