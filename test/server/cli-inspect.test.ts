import { describe, expect, test } from 'vitest';
import { describeInspection, inspect, type InspectFlags } from '../../src/cli/inspect.ts';
import { run } from '../../src/cli/run.ts';
import { WgrankError } from '../../src/errors.ts';
import type { InspectOptions, ModelInspection } from '../../src/rerank/inspect-model-node.ts';

async function call(args: string, answer = async (_flags: InspectFlags): Promise<number> => 0) {
  const seen: InspectFlags[] = [];
  let err = '';
  let out = '';
  const code = await run(args.split(' '), {
    launch: () => Promise.reject(new Error('not this command')),
    inspect: (flags) => (seen.push(flags), answer(flags)),
    writeOut: (text) => (out += text),
    writeErr: (text) => (err += text),
  });
  return { code, out, err, flags: seen[0] };
}

const defaults: InspectFlags = {
  model: '/m',
  dtype: 'auto',
  maxLength: undefined,
  maxBatchTokens: undefined,
  bindingBytes: undefined,
  json: false,
};

describe('the command line', () => {
  test.each<[string, Partial<InspectFlags>]>([
    ['inspect /m', {}],
    ['inspect Qwen/Qwen3-Reranker-8B', { model: 'Qwen/Qwen3-Reranker-8B' }],
    ['inspect --json a/b --revision refs/pr/1', { model: 'a/b@refs/pr/1', json: true }],
    ['inspect /m --dtype half', { dtype: 'f16' }],
    ['inspect /m --dtype=bfloat16', { dtype: 'bf16' }],
    ['inspect /m --max-length 512 --max-batch-tokens 4096', { maxLength: 512, maxBatchTokens: 4096 }],
    ['inspect /m --context-length 512', { maxLength: 512 }],
    ['inspect /m --binding-bytes 2147483644', { bindingBytes: 2_147_483_644 }],
  ])('%s', async (args, changed) => {
    expect(await call(args)).toEqual({ code: 0, out: '', err: '', flags: { ...defaults, ...changed } });
  });

  test.each([
    ['inspect', "error: missing required argument 'model'"],
    ['inspect a b', "error: too many arguments for 'inspect'"],
    ['inspect /m --dtype fp8', 'It must be one of auto, half,'],
    ['inspect /m --max-length 7', 'It must be a whole number from 8 to 1048576.'],
    ['inspect /m --binding-bytes 128MiB', 'It must be a whole number from 1048576 to 1099511627776.'],
    ['inspect /m --binding-bytes 1000', 'It must be a whole number from 1048576 to 1099511627776.'],
    ['inspect /m --port 1', "error: unknown option '--port'"],
    ['inspct /m', '(Did you mean inspect?)'],
  ])('%s: refused with exit code 2', async (args, message) => {
    const { code, err, flags } = await call(args);
    expect(err).toContain(message);
    expect({ code, flags }).toEqual({ code: 2, flags: undefined });
  });

  test('a named failure, and the exit code of a model that does not fit', async () => {
    const missing = new WgrankError('model-not-found', 'model path', 'nowhere');
    expect(await call('inspect /m', () => Promise.reject(missing))).toMatchObject({
      code: 1,
      err: '[model path] nowhere\n',
    });
    expect((await call('inspect /m', async () => 1)).code).toBe(1);
  });

  test('its help shows its flags and none of the server', async () => {
    const { out } = await call('inspect --help');
    for (const flag of ['--dtype', '--max-length', '--max-batch-tokens', '--binding-bytes', '--json', '--revision'])
      expect(out).toContain(flag);
    expect(out).not.toMatch(/--port|--no-truncate/);
  });
});

const found: ModelInspection = {
  model: 'a/b',
  architecture: 'Qwen3ForCausalLM',
  kind: 'text-decoder',
  dimensions: {
    layers: 36,
    hidden: 4096,
    heads: 32,
    kvHeads: 8,
    headSize: 128,
    intermediate: 12288,
    vocabulary: 151_669,
  },
  scoring: { yes: 9693, no: 2152 },
  tensors: 399,
  parameters: 8_188_548_096,
  stored: { dtype: 'bf16', bytes: 16_377_096_192 },
  adapter: { name: 'llvmpipe', bindingBytes: 2 ** 27, bufferBytes: 2 ** 32, memoryBytes: 24 * 2 ** 30 },
  tokens: { pair: 2730, batch: 1024, batchPairs: 1000 },
  gpu: {
    dtype: 'bf16',
    arenas: 2,
    bytes: {
      weights: 15 * 2 ** 30,
      arenas: 3 * 2 ** 28,
      inputs: 2048,
      stores: 0,
      staging: 3 * 2 ** 25,
      total: 2 ** 34,
    },
  },
  largestBinding: { name: 'a weight', bytes: 2 ** 26 },
  largestBuffer: { name: 'arena 0', bytes: 999 },
  cut: [{ name: 'model.embed_tokens.weight', parts: 10 }],
  misfits: [],
  warnings: [],
};

/** Runs the command on a fake inspection. */
const inspecting = async (flags: Partial<InspectFlags>, answer = found) => {
  const asked: InspectOptions[] = [];
  let out = '';
  const parts = {
    resolveModel: async (name: string) => ({ dir: `/cache/${name}`, source: 'cache' as const }),
    inspectModel: async (options: InspectOptions) => (asked.push(options), answer),
  };
  const code = await inspect({ ...defaults, ...flags }, parts, (text) => (out += text));
  return { code, out, asked: asked[0] };
};

describe('what it prints', () => {
  test('for a person', () => {
    expect(describeInspection(found)).toEqual([
      'a/b · Qwen3ForCausalLM, text-decoder',
      'shape    36 layers · hidden 4096 · 32 heads of 128, 8 of keys and values · intermediate 12288 · vocabulary 151669',
      'stored   8,188,548,096 parameters in 399 tensors · 15.3 GiB, bf16',
      'score    logit of token 9693 less that of token 2152',
      'adapter  llvmpipe · binds up to 128.0 MiB · buffers up to 4.0 GiB · 24.0 GiB of memory',
      'limits   2730 tokens a pair · 1024 tokens and 1000 pairs a batch',
      'memory   16.0 GiB on the GPU: weights 15.0 GiB as bf16 · activations 768.0 MiB in 2 arenas · inputs 2 KiB · ' +
        '96.0 MiB more while it loads',
      'largest  binding 64.0 MiB, a weight',
      '         buffer 999 bytes, arena 0',
      'cut      model.embed_tokens.weight in 10 parts',
      'it fits',
    ]);
  });

  test('of a cross-encoder on an adapter whose memory nobody knows', () => {
    const { scoring: _, ...rest } = found;
    const { memoryBytes: __, ...adapter } = found.adapter;
    const dimensions = { ...found.dimensions, kvHeads: 32 };
    const lines = describeInspection({ ...rest, adapter, dimensions, cut: [] });
    expect(lines).toHaveLength(9);
    expect(lines[1]).toContain('· 32 heads of 128 ·');
    expect(lines[3]).toBe('adapter  llvmpipe · binds up to 128.0 MiB · buffers up to 4.0 GiB · memory unknown');
  });

  test('of a model that sees, with what it keeps of pictures', () => {
    const bytes = { ...found.gpu.bytes, stores: 3 * 2 ** 26 };
    const lines = describeInspection({ ...found, gpu: { ...found.gpu, bytes } });
    expect(lines).toHaveLength(11);
    expect(lines[6]).toContain('· inputs 2 KiB · pictures 192.0 MiB · 96.0 MiB more while it loads');
  });

  test('of one token’s logit, warnings, and why it does not fit', () => {
    const lines = describeInspection({
      ...found,
      scoring: { yes: 7 },
      warnings: ['slow'],
      misfits: ['too wide', 'too large'],
    });
    expect(lines).toContain('score    logit of token 7');
    expect(lines.slice(-3)).toEqual(['warning: slow', 'does not fit: too wide', 'does not fit: too large']);
  });

  test('JSON, whole and on its own', async () => {
    const { code, out } = await inspecting({ json: true });
    expect([code, JSON.parse(out)]).toEqual([0, found]);
  });

  test('the folder that was found is inspected, under the name that was asked for', async () => {
    const { asked, out } = await inspecting({ model: 'a/b', maxLength: 512, bindingBytes: 2 ** 28 });
    expect(asked).toEqual({
      modelDir: '/cache/a/b',
      model: 'a/b',
      dtype: 'auto',
      maxLength: 512,
      bindingBytes: 2 ** 28,
    });
    expect(out).toBe(`${describeInspection(found).join('\n')}\n`);
  });

  test('exit code 1 when it does not fit, in JSON too', async () => {
    const tooLarge = { ...found, misfits: ['too large'] };
    expect((await inspecting({}, tooLarge)).code).toBe(1);
    expect((await inspecting({ json: true }, tooLarge)).code).toBe(1);
  });
});
