import { describe, expect, test } from 'vitest';
import { rankExample } from '../../src/cli/example.ts';
import { checkLaunch } from '../../src/cli/launch.ts';
import { reportReady, reportStart, type LaunchFacts } from '../../src/cli/report.ts';
import { readPackageVersion } from '../../src/server/package-version.ts';
import type { ModelDescription } from '../../src/rerank/describe-model-node.ts';
import { fakeInfo } from '../support/fake-engine.ts';
import { plainFlags as flags } from '../support/serve-flags.ts';
import { createFakeReranker, startApp } from './fake-reranker.ts';

const description: ModelDescription = {
  kind: 'cross-encoder',
  architecture: 'XLMRobertaForSequenceClassification',
  maxTokens: 512,
};
const model = { path: 'm', description, source: 'folder' };
const facts: LaunchFacts = { flags, models: [model], url: 'http://127.0.0.1:30000' };

describe('the command line against the model', () => {
  test.each(['cross-encoder', 'text-decoder', 'vl-decoder'] as const)('%s without --is-embedding', (kind) => {
    expect(checkLaunch(flags, { ...description, kind })).toBe(512);
  });

  test('a cross-encoder with --is-embedding', () => {
    expect(checkLaunch({ ...flags, isEmbedding: true }, description)).toBe(512);
  });

  test.each([
    [
      'text-decoder',
      'Detected Qwen3 reranker chat template, but the server is not in generation mode. Please relaunch without --is-embedding for Qwen3-Reranker models.',
    ],
    [
      'vl-decoder',
      'Detected Qwen3-VL reranker, but the server is not in generation mode. Please relaunch without --is-embedding for Qwen3-VL-Reranker models.',
    ],
  ] as const)('a %s with --is-embedding: SGLang’s sentence', (kind, message) => {
    const refused = () => checkLaunch({ ...flags, isEmbedding: true }, { ...description, kind, architecture: 'Qwen3' });
    expect(refused).toThrow(expect.objectContaining({ code: 'launch-refused', message }));
  });

  test('other decoders with --is-embedding, and what is recognised and cannot be run', () => {
    const qwen2: ModelDescription = { ...description, kind: 'text-decoder', architecture: 'Qwen2ForCausalLM' };
    expect(() => checkLaunch({ ...flags, isEmbedding: true }, qwen2)).toThrow(
      'Qwen2ForCausalLM is a decoder. Please relaunch without --is-embedding.',
    );
    const unknown: ModelDescription = { kind: 'vl-decoder', architecture: 'Qwen3VL', maxTokens: undefined };
    expect(() => checkLaunch({ ...flags, maxLength: 512 }, unknown)).toThrow(
      expect.objectContaining({
        code: 'model-unsupported',
        message: expect.stringContaining('architecture Qwen3VL is not supported (supported: XLMRoberta') as string,
      }),
    );
  });

  test('decoders read 8192 tokens where no number is given', () => {
    const decoder: ModelDescription = { kind: 'text-decoder', architecture: 'Qwen3ForCausalLM', maxTokens: 40_960 };
    expect(checkLaunch(flags, decoder)).toBe(8192);
    expect(checkLaunch({ ...flags, maxLength: 20_000 }, decoder)).toBe(20_000);
  });

  test('--max-length up to the model’s own', () => {
    expect(checkLaunch({ ...flags, maxLength: 512 }, description)).toBe(512);
    expect(() => checkLaunch({ ...flags, maxLength: 513 }, description)).toThrow(
      '[serve] --max-length 513 exceeds what the model can read: 512 tokens (pass that or less, or leave the flag out)',
    );
  });
});

describe('the report', () => {
  test('a plain start', () => {
    expect(reportStart(facts)).toEqual([
      `wgrank ${readPackageVersion()} · loading m (folder) · XLMRobertaForSequenceClassification, cross-encoder`,
    ]);
    expect(reportReady(facts, [{ ...fakeInfo, warnings: [] }], 1234)).toEqual([
      'adapter  no adapter (fake) (software)',
      'weights  f32',
      'limits   512 tokens a pair (longer ones are cut) · 16384 tokens a batch (a longer pair is one by itself)',
      'requests 10 documents and 16777216 bytes',
      "ready after 1.2 s at http://127.0.0.1:30000 · POST /v1/rerank answers with SGLang's bare array · http://127.0.0.1:30000/docs shows all routes",
    ]);
  });

  test('everything there is to say', () => {
    const loud = { ...flags, host: '0.0.0.0', truncate: false, ignored: ['--tp 1', '--disable-radix-cache'] };
    const start = reportStart({
      flags: loud,
      models: [{ ...model, source: 'embedded' }],
      url: 'http://0.0.0.0:1',
    }).slice(1);
    expect(start).toEqual([
      'note: the embedded model has random weights; its scores show the path, not relevance',
      'no effect here: --tp 1, --disable-radix-cache',
      'warning: no authentication: whoever reaches http://0.0.0.0:1 can use this server',
    ]);
    const prompted = { ...flags, chatTemplate: 'x.jinja', escapeSpecialTokens: true };
    expect(reportStart({ ...facts, flags: prompted }).slice(1)).toEqual([
      'no effect here: --chat-template x.jinja, --escape-special-tokens',
    ]);
    const decoder = { ...description, kind: 'text-decoder' } as const;
    expect(reportStart({ ...facts, flags: prompted, models: [{ ...model, description: decoder }] }).slice(1)).toEqual(
      [],
    );
    const ready = reportReady({ ...facts, flags: loud }, [fakeInfo], 0).join('\n');
    expect(ready).toContain('(longer ones are refused)');
    expect(ready).toContain('warning: this engine is fake');
  });
});

const output = () => {
  const lines = { printed: [] as string[], logged: [] as string[] };
  return {
    ...lines,
    print: (line: string) => lines.printed.push(line),
    log: (line: string) => lines.logged.push(line),
  };
};

describe('--example', () => {
  test('ranks over HTTP, prints the answer and a line that works as it is', async () => {
    const app = await startApp(createFakeReranker());
    const { printed, logged, ...speak } = output();
    await rankExample(app.url, speak);
    expect(logged).toEqual([]);
    const text = printed.join('\n');
    expect(text).toContain('query: what is panda?\n1.    0.0000  hi\n2.    0.0000  The giant panda');
    const [, endpoint, body] = /curl (\S+) -H 'Content-Type: application\/json' \\\n {4}-d '([^']+)'/.exec(text)!;
    const response = await fetch(endpoint!, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body!,
    });
    expect(response.status).toBe(200);
    await app.close();
  });

  test('a failure is logged, not thrown', async () => {
    const app = await startApp(createFakeReranker(), { maxDocuments: 1 });
    const { printed, logged, ...speak } = output();
    await rankExample(app.url, speak);
    await app.close();
    await rankExample(app.url, speak);
    expect(printed).toEqual([]);
    expect(logged).toEqual([
      expect.stringMatching(/^the example failed: 400 /),
      expect.stringMatching(/^the example failed: /),
    ]);
  });
});
