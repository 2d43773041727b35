import { describe, expect, test } from 'vitest';
import { run } from '../../src/cli/run.ts';
import { readPackageVersion } from '../../src/server/package-version.ts';
import type { ServeFlags } from '../../src/cli/serve-flags.ts';
import { WgrankError } from '../../src/errors.ts';
import { plainFlags } from '../support/serve-flags.ts';

async function call(args: string, launch = async (_flags: ServeFlags): Promise<number> => 0) {
  const seen: ServeFlags[] = [];
  let out = '';
  let err = '';
  const code = await run(args === '' ? [] : args.split(' '), {
    launch: (flags) => (seen.push(flags), launch(flags)),
    inspect: () => Promise.reject(new Error('not this command')),
    writeOut: (text) => (out += text),
    writeErr: (text) => (err += text),
  });
  return { code, out, err, flags: seen[0] };
}

const withModel = (path: string) => ({ modelPaths: [path] });
const defaults: ServeFlags = { ...plainFlags, ...withModel('tiny-bge-reranker'), maxDocuments: 1000 };
const insecure = { ...plainFlags.access, insecure: true };

describe('accepted', () => {
  test.each<[string, Partial<ServeFlags>]>([
    ['serve', {}],
    ['serve --model-path /m', withModel('/m')],
    ['serve --model-path=/m', withModel('/m')],
    ['serve --model BAAI/bge-reranker-v2-m3', withModel('BAAI/bge-reranker-v2-m3')],
    ['serve BAAI/bge-reranker-v2-m3 --port 1', { ...withModel('BAAI/bge-reranker-v2-m3'), port: 1 }],
    ['serve --model a/b --revision refs/pr/1', withModel('a/b@refs/pr/1')],
    ['serve --host 0.0.0.0 --port 0 --insecure', { host: '0.0.0.0', port: 0, access: insecure }],
    ['serve --port=65535', { port: 65535 }],
    ['serve --port 1 --port 2', { port: 2 }],
    ['serve --is-embedding', { isEmbedding: true }],
    ['serve --served-model-name rank', { servedModelName: 'rank' }],
    ['serve --max-length 512', { maxLength: 512 }],
    ['serve --context-length 512', { maxLength: 512 }],
    ['serve --no-truncate', { truncate: false }],
    ['serve --chat-template a/b.jinja', { chatTemplate: 'a/b.jinja' }],
    ['serve --escape-special-tokens', { escapeSpecialTokens: true }],
    ['serve --max-batch-tokens 4096', { maxBatchTokens: 4096 }],
    ['serve --max-body-bytes=1048576', { maxBodyBytes: 1048576 }],
    ['serve --max-documents 5', { maxDocuments: 5 }],
    ['serve --tokenizer-workers 2', { tokenizerWorkers: 2 }],
    ['serve --tokenizer-worker-num 2', { tokenizerWorkers: 2 }],
    ['serve --example', { example: true }],
    ...['auto', 'half', 'float16', 'f16', 'bfloat16', 'bf16', 'float', 'float32', 'f32'].map(
      (name, i): [string, Partial<ServeFlags>] => [
        `serve --dtype ${name}`,
        { dtype: (['auto', 'f16', 'f16', 'f16', 'bf16', 'bf16', 'f32', 'f32', 'f32'] as const)[i]! },
      ],
    ),
  ])('%s', async (args, changed) => {
    expect(await call(args)).toEqual({ code: 0, out: '', err: '', flags: { ...defaults, ...changed } });
  });

  test('the launch command of SGLang’s documentation for this model kind', async () => {
    const { code, flags } = await call(
      'serve --model-path BAAI/bge-reranker-v2-m3 --host 127.0.0.1 --disable-radix-cache --chunked-prefill-size -1 ' +
        '--attention-backend triton --is-embedding --trust-remote-code --mem-fraction-static=0.8 --tp 1 --dp-size 1 ' +
        '--cuda-graph-bs 1 2 4 --enable-metrics --load-format safetensors',
    );
    expect(code).toBe(0);
    expect(flags).toEqual({
      ...defaults,
      ...withModel('BAAI/bge-reranker-v2-m3'),
      isEmbedding: true,
      ignored: [
        '--disable-radix-cache',
        '--enable-metrics',
        '--trust-remote-code',
        '--attention-backend triton',
        '--chunked-prefill-size -1',
        '--mem-fraction-static 0.8',
        '--cuda-graph-bs 1 2 4',
        '--tp 1',
        '--dp-size 1',
        '--load-format safetensors',
      ],
    });
  });

  test.each([
    '--max-running-requests 8',
    '--schedule-policy fcfs',
    '--log-level-http info',
    '--disable-cuda-graph',
    '--cuda-graph-max-bs 8',
    '--skip-server-warmup',
    '--watchdog-timeout 300',
    '--max-total-tokens 1000',
    '--random-seed 1',
    '--device cuda',
    '--kv-cache-dtype auto',
    '--tensor-parallel-size 1',
    '--tp-size 1',
    '--nnodes 1',
    '--allow-auto-truncate',
  ])('%s has no effect and is reported', async (flag) => {
    expect(await call(`serve ${flag}`)).toEqual({ code: 0, out: '', err: '', flags: { ...defaults, ignored: [flag] } });
  });
});

describe('refused with exit code 2 and a reason, before anything starts', () => {
  test.each([
    [
      'serve --port 65536',
      "error: option '--port <number>' argument '65536' is invalid. It must be a whole number from 0 to 65535.",
    ],
    ['serve --port -1', 'It must be a whole number from 0 to 65535.'],
    ['serve --port 1e3', 'It must be a whole number from 0 to 65535.'],
    ['serve --port 80.5', 'It must be a whole number from 0 to 65535.'],
    ['serve --port=', 'It must be a whole number from 0 to 65535.'],
    ['serve --port', "error: option '--port <number>' argument missing"],
    ['serve --host=', "error: option '--host <address>' argument '' is invalid. It must not be empty."],
    ['serve --model-path=', 'It must not be empty.'],
    ['serve --chat-template=', 'It must not be empty.'],
    ['serve --dtype fp8', 'It must be one of auto, half, float16, f16, bfloat16, bf16, float, float32, f32.'],
    ['serve --dtype constructor', 'It must be one of auto,'],
    ['serve --max-length 0', 'It must be a whole number from 8 to 1048576.'],
    ['serve --max-batch-tokens 16k', 'It must be a whole number from 16 to 16777216.'],
    ['serve --max-body-bytes 16mb', 'It must be a whole number from 1 to 1073741824.'],
    ['serve --max-body-bytes Infinity', 'It must be a whole number from 1 to 1073741824.'],
    ['serve --max-body-bytes 0', 'It must be a whole number from 1 to 1073741824.'],
    ['serve --max-documents 0', 'It must be a whole number from 1 to 1000000.'],
    ['serve --tokenizer-workers 0', 'It must be a whole number from 1 to 256.'],
    ['serve --tp 2', "error: option '--tp 2' is refused: wgrank runs one model on one GPU; start one process per GPU"],
    [
      'serve --tensor-parallel-size=8',
      "error: option '--tensor-parallel-size 8' is refused: wgrank runs one model on one GPU",
    ],
    ['serve --dp 2', "error: option '--dp 2' is refused"],
    ['serve --nnodes 2', "error: option '--nnodes 2' is refused: wgrank runs on one machine"],
    ['serve --quantization fp8', "error: option '--quantization fp8' is refused: wgrank does not quantise"],
    ['serve --load-format gguf', "error: option '--load-format gguf' is refused: wgrank reads safetensors only"],
    ['serve --lora-paths a b', "error: option '--lora-paths a b' is refused: it would change the scores"],
    [
      'serve --admin-api-key secret',
      "error: option '--admin-api-key …' is refused: wgrank has no routes for administrators",
    ],
    ['serve --grpc-mode', "error: option '--grpc-mode' is refused: wgrank speaks HTTP only"],
    ['serve --prot 1', "error: unknown option '--prot'\n(Did you mean --port?)"],
    ['serve --max-lenght 512', '(Did you mean --max-length?)'],
    ['serve --no-such-thing', "error: unknown option '--no-such-thing'"],
    ['serve a --model-path b', "error: the model is given twice: 'a' and --model-path 'b'"],
    ['serve a b', "error: too many arguments for 'serve'."],
    ['sevre', "error: unknown command 'sevre'\n(Did you mean serve?)"],
    ['--frobnicate', "error: unknown option '--frobnicate'"],
  ])('%s', async (args, message) => {
    const { code, err, flags } = await call(args);
    expect(err).toContain(message);
    expect({ code, flags }).toEqual({ code: 2, flags: undefined });
  });
});

describe('the rest', () => {
  test('--version and --help', async () => {
    expect(readPackageVersion()).toMatch(/^\d+\.\d+\.\d+$/);
    expect(await call('--version')).toEqual({ code: 0, out: `${readPackageVersion()}\n`, err: '', flags: undefined });
    expect((await call('--help')).out).toMatch(/^Usage: wgrank .*serve \[options\] \[model\]/s);
  });

  test('serve --help shows wgrank’s flags and hides SGLang’s', async () => {
    const { code, out } = await call('serve --help');
    expect(code).toBe(0);
    for (const flag of ['--model-path', '--max-length', '--no-truncate', '--max-documents', '--example']) {
      expect(out).toContain(flag);
    }
    expect(out).not.toContain('radix');
  });

  test('nothing asked: help and exit code 2', async () => {
    const { code, err } = await call('');
    expect(code).toBe(2);
    expect(err).toMatch(/^Usage: wgrank/);
  });

  test.each([
    [new WgrankError('model-not-found', 'model path', 'nowhere'), 1, '[model path] nowhere\n'],
    [new WgrankError('launch-refused', 'serve', 'not so'), 2, '[serve] not so\n'],
  ])('a named failure: %s', async (error, exitCode, text) => {
    const { code, err } = await call('serve', () => Promise.reject(error));
    expect({ code, err }).toEqual({ code: exitCode, err: text });
  });

  test('an unnamed failure shows its stack', async () => {
    const { code, err } = await call('serve', () => Promise.reject(new TypeError('a bug')));
    expect(code).toBe(1);
    expect(err).toMatch(/^TypeError: a bug\n    at /);
  });

  test('the server’s own exit code is passed on', async () => {
    expect((await call('serve', async () => 7)).code).toBe(7);
  });
});
