import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectModel, type ModelInspection } from '../../src/rerank/inspect-model-node.ts';
import { loadEngine } from '../../src/rerank/load-engine-node.ts';
import { fixture } from '../support/golden-model.ts';
import { publishedQwen3, writeSparseQwen3 } from '../support/sparse-qwen3.ts';

const gpuBytes = 2 ** 31 - 4;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'wgrank-inspect-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(['xlmr-a', 'qwen3-a', 'qwen3-d', 'qwen3-vl-a', 'qwen3-vl-c'])('%s on the adapter here', (name) => {
  it('is planned as it is loaded', async () => {
    // Rows that its tokens can be scored by: the fixtures have no tokenizer.
    const dir = join(root, name);
    await copyModel(fixture(name), dir);
    const options = { modelDir: dir, maxLength: 60, maxBatchTokens: 700 };
    const inspection = await inspectModel(options);
    const engine = await loadEngine(options);
    const { gpuBytes } = await engine.stats();
    await engine.close();
    const { info } = engine;
    expect(inspection).toMatchObject({
      architecture: info.architecture,
      kind: info.kind,
      gpu: { dtype: info.dtype },
      adapter: { name: info.adapter },
      tokens: { pair: info.maxTokens, batch: info.maxBatchTokens, batchPairs: 700 },
      warnings: info.warnings,
      misfits: [],
    });
    // All that a plan leaves out: a block of parameters per launch, and 16 bytes where a bias has 4.
    const left = gpuBytes - inspection.gpu.bytes.total;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(32 * 1024);
  });
});

async function copyModel(from: string, to: string): Promise<void> {
  await mkdir(join(to, '1_LogitScore'), { recursive: true });
  const ofPictures = ['preprocessor_config.json', 'video_preprocessor_config.json'];
  for (const name of ['config.json', 'model.safetensors', ...ofPictures.filter((one) => existsSync(join(from, one)))])
    await copyFile(join(from, name), join(to, name));
  const { architectures } = JSON.parse(await readFile(join(to, 'config.json'), 'utf8')) as { architectures: string[] };
  if (!architectures[0]!.endsWith('ForSequenceClassification'))
    await writeFile(join(to, '1_LogitScore', 'config.json'), '{"true_token_id":17,"false_token_id":5}');
}

describe('a folder of the shape of Qwen3-Reranker-8B', () => {
  let dir: string;
  let found: ModelInspection;
  beforeAll(async () => {
    dir = join(root, '8b');
    await writeSparseQwen3(dir, publishedQwen3['8B']);
    found = await inspectModel({ modelDir: dir, bindingBytes: gpuBytes });
  });

  it('is what its files say', () => {
    expect(found).toMatchObject({
      architecture: 'Qwen3ForCausalLM',
      kind: 'text-decoder',
      dimensions: { layers: 36, hidden: 4096, heads: 32, kvHeads: 8, headSize: 128, intermediate: 12288 },
      parameters: 8_188_548_096,
      tensors: 399,
      stored: { dtype: 'bf16', bytes: 2 * 8_188_548_096 },
      scoring: { yes: 9693, no: 2152 },
      warnings: [],
    });
  });

  it('fits a GPU with bindings of 2 GiB, with the prompts that are served', () => {
    expect(found.misfits).toEqual([]);
    expect(found.tokens).toEqual({ pair: 8192, batch: 16_384, batchPairs: 1024 });
    expect(found.cut).toEqual([]);
    expect(found.largestBinding).toEqual({
      name: 'model.embed_tokens.weight bf16[151669, 4096]',
      bytes: 2 * 151_669 * 4096,
    });
  });

  it('is cut where WebGPU promises no more than 128 MiB, and does not fit half of that', async () => {
    const small = await inspectModel({ modelDir: dir, bindingBytes: 2 ** 27 });
    expect(small.misfits).toEqual([]);
    // 151,669 rows of 8 KiB, 16,384 to a part.
    expect(small.cut).toEqual([{ name: 'model.embed_tokens.weight', parts: 10 }]);
    expect(small.warnings).toEqual([expect.stringContaining('pairs are cut to 2730 tokens instead of 8192')]);
    const smaller = await inspectModel({ modelDir: dir, bindingBytes: 2 ** 26 });
    expect(smaller.misfits).toEqual([
      expect.stringContaining('mlp.gate_proj.weight bf16[12288, 4096] needs 100663296'),
    ]);
  });

  it('needs the same before it is downloaded', async () => {
    const bare = await mkdtemp(join(root, 'config-'));
    await copyFile(join(dir, 'config.json'), join(bare, 'config.json'));
    const planned = await inspectModel({ modelDir: bare, bindingBytes: gpuBytes });
    const { model: _, warnings, ...rest } = planned;
    const { model: __, warnings: ___, ...same } = found;
    expect(rest).toEqual(same);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^planned from config.json alone, its weights taken to be bf16: .* has neither model.safeten/,
      ),
    ]);
  });
});

describe('refused by name, as loading would', () => {
  it.each<[string, object | undefined, string]>([
    ['no config.json', undefined, 'checkpoint-missing'],
    ['an architecture that cannot be run', { architectures: ['LlamaForCausalLM'] }, 'model-unsupported'],
    ['an unknown key', { ...publishedQwen3['0.6B'], attention_sinks: 4 }, 'config-invalid'],
    ['tokens beyond the vocabulary', { ...publishedQwen3['0.6B'], vocab_size: 9000 }, 'config-invalid'],
  ])('%s', async (_, config, code) => {
    const dir = await mkdtemp(join(root, 'refused-'));
    if (config) await writeFile(join(dir, 'config.json'), JSON.stringify(config));
    await expect(inspectModel({ modelDir: dir, bindingBytes: gpuBytes })).rejects.toMatchObject({ code });
  });

  it('a damaged checkpoint, which is not a missing one', async () => {
    const dir = await mkdtemp(join(root, 'damaged-'));
    await writeFile(join(dir, 'config.json'), JSON.stringify(publishedQwen3['0.6B']));
    await writeFile(join(dir, 'model.safetensors'), 'not safetensors');
    const inspecting = inspectModel({ modelDir: dir, bindingBytes: gpuBytes });
    await expect(inspecting).rejects.toMatchObject({ code: 'checkpoint-invalid' });
  });
});
