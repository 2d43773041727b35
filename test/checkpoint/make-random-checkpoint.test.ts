import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { convertF32ToBf16, convertF32ToF16 } from '../../src/checkpoint/half.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { padUnigram } from '../../scripts/pad-unigram.ts';
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
