import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { convertF32ToBf16, convertF32ToF16 } from '../../src/checkpoint/half.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { decodeQwen3Config } from '../../src/models/qwen3-config.ts';
import { readConfig } from '../../src/rerank/describe-model-node.ts';
import { padUnigram } from '../../scripts/pad-unigram.ts';
import { planQwen3Tensors, qwen3Shapes } from '../../scripts/qwen3-layout.ts';
import { countValues } from '../../scripts/xlm-roberta-layout.ts';
import { type RandomCheckpoint, writeRandomCheckpoint } from '../../scripts/make-random-checkpoint.ts';
import { useTemporaryModel } from './temporary-model.ts';

const place = useTemporaryModel();

async function write(options: Partial<RandomCheckpoint> = {}): Promise<Checkpoint> {
  await rm(place.dir, { recursive: true });
  await writeRandomCheckpoint({ shape: 'tiny', dtype: 'f32', out: place.dir, ...options });
  return openCheckpoint(place.dir);
}

async function readAll(checkpoint: Checkpoint): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const data = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name, byteLength } of checkpoint.tensors.values()) {
    const into = new Uint8Array(byteLength);
    await checkpoint.read(name, 0, into);
    data.set(name, into);
  }
  await checkpoint.close();
  return data;
}

describe('random checkpoints', () => {
  it('have the published tensors and config', async () => {
    const checkpoint = await write();
    const names = [...checkpoint.tensors.keys()];
    expect(names).toHaveLength(5 + 2 * 16 + 4);
    expect(names).toEqual(names.toSorted());
    const shapeOf = (name: string) => checkpoint.tensors.get(name)?.shape;
    expect(shapeOf('roberta.embeddings.word_embeddings.weight')).toEqual([2000, 64]);
    expect(shapeOf('roberta.embeddings.position_embeddings.weight')).toEqual([514, 64]);
    expect(shapeOf('roberta.embeddings.token_type_embeddings.weight')).toEqual([1, 64]);
    expect(shapeOf('roberta.encoder.layer.1.intermediate.dense.weight')).toEqual([256, 64]);
    expect(shapeOf('roberta.encoder.layer.1.output.dense.weight')).toEqual([64, 256]);
    expect(shapeOf('roberta.encoder.layer.0.attention.self.query.bias')).toEqual([64]);
    expect(shapeOf('classifier.out_proj.weight')).toEqual([1, 64]);
    await checkpoint.close();
    const config = JSON.parse(await readFile(join(place.dir, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject({
      hidden_size: 64,
      num_hidden_layers: 2,
      vocab_size: 2000,
      id2label: { '0': 'LABEL_0' },
      torch_dtype: 'float32',
    });
  });

  it('hold near-normal values of spread 0.02, LayerNorm weights around 1', async () => {
    const data = await readAll(await write());
    for (const [name, bytes] of data) {
      const values = new Float32Array(bytes.buffer);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
      const expectedMean = name.endsWith('LayerNorm.weight') ? 1 : 0;
      const noise = 0.02 / Math.sqrt(values.length);
      if (values.length === 1) continue;
      expect(Math.abs(mean - expectedMean), `mean of ${name}`).toBeLessThan(5 * noise);
      expect(Math.abs(spread - 0.02), `spread of ${name}`).toBeLessThan(5 * noise);
      const largest = values.reduce((max, value) => Math.max(max, Math.abs(value - expectedMean)), 0);
      expect(largest, `largest of ${name}`).toBeLessThan(0.07);
    }
  });

  it.each([
    ['f16', convertF32ToF16, 'float16'],
    ['bf16', convertF32ToBf16, 'bfloat16'],
  ] as const)('are in %s the rounded values of the f32 file', async (dtype, convert, torchDtype) => {
    const wide = await readAll(await write());
    const narrow = await readAll(await write({ dtype }));
    for (const [name, bytes] of wide) {
      const rounded = new Uint16Array(bytes.length / 4);
      convert(new Uint32Array(bytes.buffer), rounded);
      expect(Buffer.compare(narrow.get(name)!, Buffer.from(rounded.buffer)), name).toBe(0);
    }
    expect(await readFile(join(place.dir, 'config.json'), 'utf8')).toContain(`"torch_dtype": "${torchDtype}"`);
  });

  it('hold the same values in shards, and other values for another seed', async () => {
    const whole = await readAll(await write());
    const sharded = await readAll(await write({ shards: 5 }));
    expect((await readdir(place.dir)).filter((name) => name.endsWith('.safetensors'))).toHaveLength(5);
    expect([...sharded.keys()]).toEqual([...whole.keys()]);
    for (const [name, bytes] of whole) expect(Buffer.compare(sharded.get(name)!, bytes), name).toBe(0);
    const other = await readAll(await write({ seed: 2 }));
    const name = 'classifier.dense.weight';
    expect(Buffer.compare(other.get(name)!, whole.get(name)!)).not.toBe(0);
  });

  it('take layers, labels, vocabulary and prefix from the options', async () => {
    const checkpoint = await write({ layers: 3, labels: 2, vocab: 2500, prefix: '' });
    expect(checkpoint.tensors.get('embeddings.word_embeddings.weight')?.shape).toEqual([2500, 64]);
    expect(checkpoint.tensors.has('encoder.layer.2.output.dense.bias')).toBe(true);
    expect(checkpoint.tensors.get('classifier.out_proj.weight')?.shape).toEqual([2, 64]);
    await checkpoint.close();
    const config = JSON.parse(await readFile(join(place.dir, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject({
      num_hidden_layers: 3,
      vocab_size: 2500,
      id2label: { '0': 'LABEL_0', '1': 'LABEL_1' },
      label2id: { LABEL_1: 1 },
    });
    const tokenizer = JSON.parse(await readFile(join(place.dir, 'tokenizer.json'), 'utf8')) as {
      model: { vocab: [string, number][] };
      added_tokens: { id: number; content: string }[];
    };
    const pieces = tokenizer.model.vocab.map(([piece]) => piece);
    expect(new Set(pieces).size).toBe(2500);
    expect(pieces.at(-1)).toBe('<mask>');
    expect(tokenizer.added_tokens.map(({ id, content }) => [pieces[id], content]).every(([a, b]) => a === b)).toBe(
      true,
    );
  });
});

const readJson = async (name: string) => JSON.parse(await readFile(join(place.dir, name), 'utf8')) as object;
const shapesOf = (checkpoint: Checkpoint) =>
  new Map([...checkpoint.tensors].map(([name, { shape }]) => [name, shape] as const));

describe('random Qwen3 checkpoints', () => {
  it.each([
    ['qwen3-reranker-0.6b', 595_776_512, 28 * 11 + 2],
    ['qwen3-reranker-4b', 4_021_784_576, 36 * 11 + 2],
    ['qwen3-reranker-8b', 8_188_548_096, 36 * 11 + 3],
  ] as const)('%s has the published number of parameters', (shape, parameters, count) => {
    const tensors = planQwen3Tensors(qwen3Shapes[shape]);
    expect(tensors.reduce((sum, tensor) => sum + countValues(tensor), 0)).toBe(parameters);
    expect(tensors).toHaveLength(count);
    expect(tensors.some(({ name }) => name === 'lm_head.weight')).toBe(shape === 'qwen3-reranker-8b');
  });

  it('have the tensors and config of the embedded one, which transformers reads', async () => {
    const embedded = await openCheckpoint(new URL('../../weights/tiny-qwen3-reranker', import.meta.url).pathname);
    const checkpoint = await write({ shape: 'tiny-qwen3', dtype: 'bf16' });
    expect(shapesOf(checkpoint)).toEqual(shapesOf(embedded));
    expect([...checkpoint.tensors.values()].every(({ dtype }) => dtype === 'BF16')).toBe(true);
    await Promise.all([checkpoint.close(), embedded.close()]);
    for (const name of ['config.json', '1_LogitScore/config.json', 'tokenizer.json', 'tokenizer_config.json']) {
      const published = await readFile(new URL(`../../weights/tiny-qwen3-reranker/${name}`, import.meta.url), 'utf8');
      expect(await readJson(name), name).toEqual(JSON.parse(published));
    }
    expect(await readFile(join(place.dir, 'README.md'), 'utf8')).toMatch(
      /scores mean nothing\.\nThe tokenizer is the tiny/,
    );
  });

  it('take layers, vocabulary and shards from the options; attention is wider than the residual stream', async () => {
    const options = { shape: 'tiny-qwen3', dtype: 'bf16', layers: 1, vocab: 3000, shards: 4 } as const;
    const checkpoint = await write(options);
    expect(checkpoint.tensors.get('model.embed_tokens.weight')?.shape).toEqual([3000, 64]);
    expect(checkpoint.tensors.get('model.layers.0.self_attn.q_proj.weight')?.shape).toEqual([128, 64]);
    expect(checkpoint.tensors.size).toBe(11 + 2);
    await checkpoint.close();
    expect((await readdir(place.dir)).filter((name) => name.endsWith('.safetensors'))).toHaveLength(4);
    expect(decodeQwen3Config(await readConfig(place.dir))).toMatchObject({
      layers: 1,
      vocabulary: 3000,
      headSize: 32,
      kvHeads: 2,
      tied: true,
      ropeTheta: 1e6,
    });
  });

  it('norms are around 1, matrices around 0', async () => {
    for (const [name, bytes] of await readAll(await write({ shape: 'tiny-qwen3', layers: 1 }))) {
      const values = new Float32Array(bytes.buffer);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(mean - Number(name.includes('norm'))), name).toBeLessThan(0.1 / Math.sqrt(values.length));
    }
  });

  it('refuse what is not theirs', async () => {
    const options = { shape: 'tiny-qwen3', dtype: 'bf16', out: place.dir } as const;
    const refused = (more: object) => expect(writeRandomCheckpoint({ ...options, ...more })).rejects;
    await refused({ labels: 2 }).toThrow("for XLM-RoBERTa's shapes, not tiny-qwen3");
    await refused({ vocab: 1999 }).toThrow('has 2000 ids, more than 1999');
  });
});

function unigram(vocab: [string, number][]) {
  return { added_tokens: [], model: { type: 'Unigram', vocab } };
}

it('padUnigram refuses vocabularies that it cannot grow', () => {
  const two: [string, number][] = [
    ['a', -1],
    ['<mask>', 0],
  ];
  expect(() => padUnigram(unigram(two.slice(0, 1)), 5, 1)).toThrow('ends with <mask>');
  expect(() => padUnigram(unigram(two), 1, 1)).toThrow('has 2 pieces, more than 1');
});
