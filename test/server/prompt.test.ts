import { afterAll, afterEach, describe, expect, test } from 'vitest';

import { launch } from '../../src/cli/launch.ts';
import type { ServeFlags } from '../../src/cli/serve-flags.ts';
import { WgrankError } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { serveOne } from './serve-one.ts';
import { createEncoder, type EncoderOptions } from '../../src/text/create-encoder-node.ts';
import type { EncodeOptions } from '../../src/text/encoded-pair.ts';
import { loadEngine } from '../support/fake-engine.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { plainFlags } from '../support/serve-flags.ts';
import { closeAll, modelFolder } from '../text/model-folder.ts';
import { createFakeParts } from './fake-parts.ts';
import { postRerank } from './fake-reranker.ts';

const running: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});
afterAll(closeAll);

/** A server with the real encoder of a decoder in front of the fake engine. */
async function start(template: string | undefined, options: { maxLength?: number; truncate?: boolean } = {}) {
  const modelDir = modelFolder(template === undefined ? {} : { 't.jinja': template });
  const server = await serveOne(
    {
      modelDir,
      model: 'fake',
      kind: 'text-decoder',
      architecture: 'Qwen3ForCausalLM',
      maxLength: 8192,
      truncate: true,
      tokenizerWorkers: 1,
      ...(template === undefined ? {} : { chatTemplate: `${modelDir}/t.jinja` }),
      ...options,
    },
    { ...createFakeParts(), createEncoder, createReranker },
  );
  running.push(server);
  server.ready.catch(() => undefined);
  return server;
}

async function ask(server: RunningServer, body: object) {
  const response = await postRerank(server.url, body);
  return { status: response.status, body: (await response.json()) as Record<string, any> };
}

describe('over HTTP', () => {
  test('an instruction changes the prompt; an empty one is the default', async () => {
    const server = await start(undefined);
    await server.ready;
    const request = { query: 'q', documents: ['a document'] };
    const tokens = async (more: object) => (await ask(server, { ...request, ...more })).body[0].meta_info.prompt_tokens;
    const [none, empty, longer] = [
      await tokens({}),
      await tokens({ instruct: '' }),
      await tokens({ instruct: 'Given a web search query, retrieve relevant passages that answer the query, please' }),
    ];
    expect([empty, longer]).toEqual([none, none + 2]);
  });

  test('text parts of a content list are joined by one space', async () => {
    const server = await start(undefined);
    await server.ready;
    const parts = [
      { type: 'text', text: 'two' },
      { type: 'text', text: 'parts' },
    ];
    const [list] = (await ask(server, { query: parts, documents: [parts] })).body as unknown as [{ score: number }];
    const [text] = (await ask(server, { query: 'two parts', documents: ['two parts'] })).body as unknown as [
      { score: number },
    ];
    expect(list.score).toBe(text.score);
  });

  test('a template that fails over one request: 400 for it, answers for its neighbours', async () => {
    const server = await start(
      '{{ messages[0]["content"] }}{{ messages[1]["content"] }}' +
        '{% if messages[1]["content"] == "throw" %}{{ raise_exception("not this one") }}{% endif %}' +
        '{% if messages[1]["content"] == "loop" %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}',
    );
    await server.ready;
    const documents = ['a', 'throw', 'b', 'loop', 'c'];
    const answers = await Promise.all(documents.map((document) => ask(server, { query: 'q', documents: [document] })));
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 200, 400, 200]);
    expect(answers[1]!.body).toMatchObject({ type: 'BadRequestError', code: 400, param: null });
    expect(answers[1]!.body['message']).toBe('[chat template] t.jinja fails: not this one');
    expect(answers[3]!.body['message']).toMatch(/fails: it takes more than 500 ms$/);
  });

  test('a prompt without room for the document: 400, cut or not', async () => {
    const request = { query: 'q '.repeat(600), documents: ['d'] };
    for (const [truncate, message] of [
      [true, /nothing of the document would remain/],
      [false, /^The input \(\d+ tokens\) is longer than the model's context length \(512 tokens\)\.$/],
    ] as const) {
      const server = await start(undefined, { maxLength: 512, truncate });
      await server.ready;
      const { status, body } = await ask(server, request);
      expect([status, body['type']]).toEqual([400, 'BadRequestError']);
      expect(body['message']).toMatch(message);
    }
  });

  test('a template that loses the document: the model is never ready', async () => {
    const server = await start('{{ messages[0]["content"] }}');
    await expect(server.ready).rejects.toMatchObject({ code: 'template-invalid' });
  });
});

test('the reranker hands the instruction and the signal to the encoder', async () => {
  const seen: (EncodeOptions | undefined)[] = [];
  const reranker = createReranker({
    engine: await loadEngine({ modelDir: 'fake' }),
    encoder: {
      encode: async (_query, documents, options) => {
        seen.push(options);
        return documents.map(() => ({ ids: Int32Array.of(1), truncatedTokens: 0 }));
      },
      close: async () => undefined,
    },
  });
  const controller = new AbortController();
  await reranker.rerank('q', ['d'], { instruct: 'Find it.', signal: controller.signal });
  await reranker.rerank('q', ['d']);
  expect(seen).toEqual([
    { instruct: 'Find it.', signal: expect.any(AbortSignal) },
    { signal: expect.any(AbortSignal) },
  ]);
  expect(seen[0]!.signal!.aborted).toBe(false);
  controller.abort();
  expect(seen[1]!.signal!.aborted).toBe(false);
  await reranker.close();
});

describe('the command line', () => {
  /** What `launch` asks the encoder for; the launch itself is refused. */
  async function optionsOf(kind: EncoderOptions['kind'], maxTokens: number, changed: Partial<ServeFlags> = {}) {
    let seen: EncoderOptions | undefined;
    const refused = new WgrankError('tokenizer-invalid', 'fake', 'as asked');
    const parts = {
      ...createFakeParts(),
      describeModel: async () => ({ kind, architecture: 'SomeModel', maxTokens }),
      createEncoder: async (options: EncoderOptions) => {
        seen = options;
        throw refused;
      },
    };
    const quiet = { logger: recordingLogger(() => undefined), print: () => undefined };
    await expect(launch({ ...plainFlags, ...changed }, parts, quiet)).rejects.toBe(refused);
    return seen!;
  }

  test('the model decides the encoder, the flags its prompt', async () => {
    const options = await optionsOf('text-decoder', 40_960, { chatTemplate: 'x.jinja', escapeSpecialTokens: true });
    expect(options).toEqual({
      kind: 'text-decoder',
      architecture: 'SomeModel',
      modelDir: 'm',
      maxLength: 8192,
      truncate: true,
      chatTemplate: 'x.jinja',
      escapeSpecialTokens: true,
      workers: undefined,
      media: {},
    });
  });

  test.each([
    ['text-decoder', 40_960, undefined, 8192],
    ['text-decoder', 4096, undefined, 4096],
    ['text-decoder', 40_960, 40_960, 40_960],
    ['cross-encoder', 8194, undefined, 8194],
  ] as const)('%s of %i tokens with --max-length %s reads %i', async (kind, maxTokens, maxLength, expected) => {
    expect((await optionsOf(kind, maxTokens, { maxLength })).maxLength).toBe(expected);
  });
});
