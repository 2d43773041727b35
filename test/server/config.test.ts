import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { twinOf } from '../../src/cli/env-flags.ts';
import { run } from '../../src/cli/run.ts';
import { declareServeFlags, type ServeFlags } from '../../src/cli/serve-flags.ts';
import { isLoopback } from '../../src/server/binding.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'wgrank-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());
const fileOf = (name: string, text: string) => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

/** `wgrank serve` with these words and variables; what would be launched. */
async function serve(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  let flags: ServeFlags | undefined;
  let err = '';
  let out = '';
  const code = await run(['serve', ...words], {
    launch: async (launched) => ((flags = launched), 0),
    inspect: () => Promise.reject(new Error('not this command')),
    writeOut: (text) => (out += text),
    writeErr: (text) => (err += text),
  });
  return { code, err, out, flags };
}

const command = new Command('serve');
declareServeFlags(command);
const shown = command.options.filter((option) => !option.hidden);

describe('every flag has a twin in the environment', () => {
  test('and --help names it with the default', async () => {
    const { out } = await serve(['--help']);
    expect(shown.length).toBeGreaterThan(35);
    for (const option of shown) {
      const line = out.split('\n').find((text) => text.includes(`${option.long} `) && text.startsWith('  -'))!;
      expect(line).toContain(`env: ${twinOf(option)})`);
      expect(line).toMatch(/\bdefault: \S/);
    }
  });

  /** Of each flag a value, and what it becomes. */
  const values: Record<string, [string, (flags: ServeFlags) => unknown, unknown]> = {
    'model-path': ['a, b/c@main', (flags) => flags.modelPaths, ['a', 'b/c@main']],
    revision: ['abc', (flags) => flags.modelPaths, ['tiny-bge-reranker@abc']],
    dtype: ['half', (flags) => flags.dtype, 'f16'],
    'max-length': ['99', (flags) => flags.maxLength, 99],
    'no-truncate': ['true', (flags) => flags.truncate, false],
    'chat-template': ['x.jinja', (flags) => flags.chatTemplate, 'x.jinja'],
    'escape-special-tokens': ['1', (flags) => flags.escapeSpecialTokens, true],
    'is-embedding': ['yes', (flags) => flags.isEmbedding, true],
    'max-batch-tokens': ['99', (flags) => flags.maxBatchTokens, 99],
    host: ['::1', (flags) => flags.host, '::1'],
    port: ['99', (flags) => flags.port, 99],
    'served-model-name': ['me', (flags) => flags.servedModelName, 'me'],
    'max-body-bytes': ['99', (flags) => flags.maxBodyBytes, 99],
    'max-documents': ['99', (flags) => flags.maxDocuments, 99],
    'tokenizer-workers': ['9', (flags) => flags.tokenizerWorkers, 9],
    'api-dialect': ['jina', (flags) => flags.operation.apiDialect, 'jina'],
    'max-queue-tokens': ['99', (flags) => flags.operation.maxQueueTokens, 99],
    'max-queue-requests': ['99', (flags) => flags.operation.maxQueueRequests, 99],
    'request-timeout-ms': ['0', (flags) => flags.operation.requestTimeoutMs, 0],
    'drain-timeout-ms': ['99', (flags) => flags.operation.drainTimeoutMs, 99],
    'api-key': [
      'first,second',
      ({ access }) => ['first', 'second', 'third', ''].map((key) => access.keys.find(key)),
      [0, 1, undefined, undefined],
    ],
    'api-key-file': [fileOf('some', 'filed\n'), ({ access }) => [access.keys.count, access.keys.find('filed')], [1, 0]],
    insecure: ['on', (flags) => flags.access.insecure, true],
    'cors-origin': ['https://a.example,app://b', (flags) => flags.access.corsOrigins, ['https://a.example', 'app://b']],
    'allowed-host': ['Rank.internal, 10.0.0.1', (flags) => flags.access.allowedHosts, ['rank.internal', '10.0.0.1']],
    'metrics-port': ['99', (flags) => flags.operation.metricsPort, 99],
    'log-level': ['warning', (flags) => flags.operation.logLevel, 'warn'],
    'log-format': ['json', (flags) => flags.operation.logFormat, 'json'],
    'media-root': ['/m', (flags) => flags.media.mediaRoot, '/m'],
    'media-allow': ['a.example, b.example', (flags) => flags.media.mediaAllow, ['a.example', 'b.example']],
    'apply-exif': ['TRUE', (flags) => flags.media.applyExif, true],
    'max-image-bytes': ['99', (flags) => flags.media.maxBytes?.image, 99],
    'max-video-bytes': ['99', (flags) => flags.media.maxBytes?.video, 99],
    'max-remote-bytes': ['99', (flags) => flags.media.maxRemoteBytes, 99],
    'remote-timeout-ms': ['99', (flags) => flags.media.remoteTimeoutMs, 99],
    example: ['1', (flags) => flags.example, true],
  };

  test.each(shown.map((option) => option.long!.slice(2)))('%s', async (name) => {
    const [value, read, expected] = values[name]!;
    const plain = (await serve([])).flags!;
    expect(read(plain)).not.toEqual(expected);
    const twin = `WGRANK_${name.replaceAll('-', '_').toUpperCase()}`;
    const { err, flags } = await serve([], { [twin]: value });
    expect(err).toBe('');
    expect(read(flags!)).toEqual(expected);
  });

  test('the command line wins', async () => {
    const env = {
      WGRANK_PORT: '1',
      WGRANK_MODEL_PATH: 'a,b',
      WGRANK_API_KEY: 'k',
      WGRANK_HOST: 'nonsense',
      WGRANK_NO_TRUNCATE: '0',
    };
    const words = [
      '--port',
      '2',
      '--model-path',
      'c',
      '--host',
      '127.0.0.1',
      '--api-key',
      'one',
      '--api-key',
      'two',
      '--no-truncate',
    ];
    const { flags } = await serve(words, env);
    expect([flags!.port, flags!.modelPaths, flags!.host, flags!.truncate]).toEqual([2, ['c'], '127.0.0.1', false]);
    expect(['k', 'one', 'two'].map((key) => flags!.access.keys.find(key))).toEqual([undefined, 0, 1]);
    vi.unstubAllEnvs();
    expect((await serve(['d'], { WGRANK_MODEL_PATH: 'a' })).flags!.modelPaths).toEqual(['d']);
  });

  test('a switch that is off stays off', async () => {
    for (const word of ['0', 'false', 'no', 'OFF']) {
      const { flags } = await serve([], { WGRANK_EXAMPLE: word, WGRANK_INSECURE: word, WGRANK_NO_TRUNCATE: word });
      expect([flags!.example, flags!.access.insecure, flags!.truncate]).toEqual([false, false, true]);
    }
  });

  test('what Kubernetes says of Services called wgrank is nobody’s wish', async () => {
    const links = {
      WGRANK_SERVICE_HOST: '10.0.0.1',
      WGRANK_SERVICE_PORT: '80',
      WGRANK_SERVICE_PORT_HTTP: '80',
      WGRANK_PORT: 'tcp://10.0.0.1:80',
      WGRANK_PORT_80_TCP: 'tcp://10.0.0.1:80',
      WGRANK_PORT_80_TCP_PROTO: 'tcp',
      WGRANK_PORT_80_TCP_PORT: '80',
      WGRANK_PORT_80_TCP_ADDR: '10.0.0.1',
      WGRANK_METRICS_PORT: 'tcp://10.0.0.2:9000',
      WGRANK_METRICS_SERVICE_HOST: '10.0.0.2',
    };
    const { err, flags } = await serve([], links);
    expect([err, flags!.port, flags!.operation.metricsPort]).toEqual(['', 30000, undefined]);
  });
});

describe('a wrong configuration refuses to start: 30 of 30', () => {
  const empty = fileOf('empty', '# none\n\n');
  const badFile = fileOf('bad', 'good-key\nnot a key\n');
  const cases: [string[], Record<string, string>, string][] = [
    [
      [],
      { WGRANK_PORT: '99999' },
      "environment variable WGRANK_PORT is '99999'. It must be a whole number from 0 to 65535.",
    ],
    [[], { WGRANK_PORT: '' }, "environment variable WGRANK_PORT is ''."],
    [[], { WGRANK_PORT: '80 ' }, "environment variable WGRANK_PORT is '80 '."],
    [[], { WGRANK_PROT: '80' }, 'environment variable WGRANK_PROT is unknown (did you mean WGRANK_PORT?)'],
    [[], { WGRANK_TP: '1' }, 'environment variable WGRANK_TP is unknown'],
    [[], { WGRANK_: '1' }, 'environment variable WGRANK_ is unknown (wgrank serve --help lists all)'],
    [
      [],
      { WGRANK_TRUNCATE: 'false' },
      'environment variable WGRANK_TRUNCATE is unknown (did you mean WGRANK_NO_TRUNCATE?)',
    ],
    [[], { WGRANK_MODEL: 'm' }, 'environment variable WGRANK_MODEL is unknown'],
    [
      [],
      { WGRANK_EXAMPLE: 'maybe' },
      "WGRANK_EXAMPLE is 'maybe'. It must be one of 1, true, yes, on, 0, false, no, off.",
    ],
    [[], { WGRANK_INSECURE: '' }, "WGRANK_INSECURE is ''. It must be one of"],
    [[], { WGRANK_DTYPE: 'fp8' }, "WGRANK_DTYPE is 'fp8'. It must be one of auto"],
    [[], { WGRANK_HOST: ' ' }, "WGRANK_HOST is ' '. It must not be empty."],
    [[], { WGRANK_MODEL_PATH: 'a,,b' }, "WGRANK_MODEL_PATH is 'a,,b'. It must not be empty."],
    [[], { WGRANK_MAX_QUEUE_TOKENS: '0' }, "WGRANK_MAX_QUEUE_TOKENS is '0'."],
    [[], { WGRANK_REQUEST_TIMEOUT_MS: '5s' }, "WGRANK_REQUEST_TIMEOUT_MS is '5s'."],
    [
      [],
      { WGRANK_LOG_LEVEL: 'loud' },
      "WGRANK_LOG_LEVEL is 'loud'. It must be one of trace, debug, info, warn, error, fatal, silent.",
    ],
    [[], { WGRANK_API_DIALECT: 'Jina' }, "WGRANK_API_DIALECT is 'Jina'. It must be one of sglang, jina."],
    [[], { WGRANK_CORS_ORIGIN: '*' }, "WGRANK_CORS_ORIGIN is '*'. It must be one origin as browsers send it"],
    [['--cors-origin', 'https://a.example/'], {}, "'--cors-origin <origin>' argument 'https://a.example/' is invalid."],
    [['--cors-origin', 'https://A.example:443'], {}, 'It must be one origin as browsers send it'],
    [['--cors-origin', 'null'], {}, 'It must be one origin as browsers send it'],
    [['--allowed-host', 'a.example:80'], {}, 'It must be one name or address without scheme and port'],
    [['--api-key', ''], {}, 'API key 1 of --api-key or WGRANK_API_KEY is not a key'],
    [['--api-key', 'good', '--api-key', 'sekrit key'], {}, 'API key 2 of --api-key or WGRANK_API_KEY is not a key'],
    [[], { WGRANK_API_KEY: '' }, 'API key 1 of --api-key or WGRANK_API_KEY is not a key'],
    [['--api-key-file', path.join(folder, 'absent')], {}, 'absent: ENOENT'],
    [['--api-key-file', empty], {}, 'the file of --api-key-file has no key'],
    [[], { WGRANK_API_KEY_FILE: badFile }, `line 2 of ${badFile} is not a key`],
    [['--model', 'a', '--model', 'a'], {}, "the model 'a' is given twice"],
    [['--model', 'a', '--model', 'b', '--revision', 'x'], {}, '--revision goes with one model'],
    [['--model', 'a', '--model', 'b'], { WGRANK_SERVED_MODEL_NAME: 'x' }, '--served-model-name goes with one model'],
    [['--metrics-port', '30000'], {}, '--metrics-port 30000 is the port of --port'],
    [['--host', '0.0.0.0'], {}, 'there is no API key'],
    [[], { WGRANK_HOST: '192.168.0.1' }, 'there is no API key'],
    [['--ssl-keyfile', 'x'], {}, 'wgrank does not speak TLS'],
  ];

  test('there are enough of them', () => expect(cases.length).toBeGreaterThanOrEqual(30));

  test.each(cases)('%j %j', async (words, env, message) => {
    const { code, err, flags } = await serve(words, env);
    expect(err).toContain(`error: `);
    expect(err).toContain(message);
    expect(err).not.toMatch(/sekrit|not a key\n.*not a key/);
    expect([code, flags]).toEqual([2, undefined]);
  });
});

describe('keys are not shown', () => {
  test('not by what would be launched, and they leave the environment', async () => {
    const { flags } = await serve(['--api-key', 'sekrit-1'], { WGRANK_API_KEY: 'sekrit-2' });
    expect(inspect(flags, { depth: 9, showHidden: true }) + JSON.stringify(flags)).not.toContain('sekrit');
    expect(process.env['WGRANK_API_KEY']).toBeUndefined();
  });

  test.each([
    '--api-kye=sekrit',
    '--admin-api-key=sekrit',
    '--host 0.0.0.0 --admin-api-key sekrit',
    '--api-key-file=/nowhere/at-all',
  ])('not by %s', async (words) => {
    const { code, err } = await serve([
      ...words.split(' '),
      ...(words.includes('--host') ? [] : ['--api-key', 'sekrit']),
    ]);
    expect([code, err.includes('sekrit')]).toEqual([2, false]);
  });
});

describe('addresses that others reach', () => {
  test.each([
    [['--host', '0.0.0.0'], 'wgrank serve FLAG --host 0.0.0.0'],
    [
      ['my model', '--host=::', '--cuda-graph-bs', '1', '2'],
      "wgrank serve FLAG 'my model' --host=:: --cuda-graph-bs 1 2",
    ],
    [
      ['--host', 'rank.internal', '--chat-template', "it's"],
      "wgrank serve FLAG --host rank.internal --chat-template 'it'\\''s'",
    ],
  ])('%j: the message has the command lines to use, and they start', async (words, line) => {
    const { code, err } = await serve(words);
    expect(code).toBe(2);
    const lines = err.split('\n').map((text) => text.trim());
    expect(lines).toContain(line.replace('FLAG', '--insecure'));
    expect(lines).toContain(line.replace('FLAG', '--api-key-file wgrank-keys.txt'));
    expect((await serve(['--insecure', ...words])).flags).toMatchObject({ access: { insecure: true } });
    const file = fileOf('keys', 'abcdef\n');
    expect((await serve(['--api-key-file', file, ...words])).code).toBe(0);
  });

  test.each(['127.0.0.1', '127.255.0.9', '::1', 'localhost', 'LOCALHOST', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])(
    '%s is this machine',
    async (host) => {
      expect(isLoopback(host)).toBe(true);
      expect((await serve(['--host', host])).code).toBe(0);
    },
  );

  test.each([
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '127.0.0.1.evil.example',
    '127.evil.example',
    '128.0.0.1',
    'localhost.evil.example',
    '::ffff:10.0.0.1',
    '0',
    '',
  ])('%j is not', (host) => expect(isLoopback(host)).toBe(false));
});
