/**
 * Writes a checkpoint of random weights in the exact layout of a published reranker, at full size and in seconds.
 *
 *   npx tsx scripts/make-random-checkpoint.ts --shape bge-reranker-v2-m3 --dtype f32 --out DIR
 *     [--layers N] [--vocab N] [--shards N] [--prefix roberta.|none] [--labels N] [--seed N]
 *   npx tsx scripts/make-random-checkpoint.ts --shape qwen3-reranker-0.6b --out DIR
 *     [--dtype bf16] [--layers N] [--vocab N] [--shards N] [--seed N]
 *   npx tsx scripts/make-random-checkpoint.ts --shape qwen3-vl-reranker-2b --out DIR
 *     [--dtype bf16] [--layers N] [--vision-layers N] [--vocab N] [--shards N] [--seed N]
 */
import { type FileHandle, mkdir, open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { convertF32ToBf16, convertF32ToF16 } from '../src/checkpoint/half.ts';
import { findQwen3Tokenizer, tinyVision, writeQwen3Tokenizer } from './copy-qwen3-tokenizer.ts';
import { writePaddedTokenizer } from './pad-unigram.ts';
import { makeQwen3Config, planQwen3Tensors, type Qwen3Sizes, qwen3Shapes } from './qwen3-layout.ts';
import {
  cutTower,
  makePreprocessorFiles,
  makeQwen3VlConfig,
  planQwen3VlTensors,
  qwen3VlShapes,
} from './qwen3-vl-layout.ts';
import { type Sizes, type TensorPlan, countValues, makeConfig, planTensors, shapes } from './xlm-roberta-layout.ts';

const tokenizerFolder = fileURLToPath(new URL('../weights/tiny-bge-reranker', import.meta.url));

const dtypes = { f32: ['F32', 4, 'float32'], f16: ['F16', 2, 'float16'], bf16: ['BF16', 2, 'bfloat16'] } as const;

export interface RandomCheckpoint {
  readonly shape: keyof typeof shapes | Qwen3Shape | Qwen3VlShape;
  readonly dtype: keyof typeof dtypes;
  readonly out: string;
  readonly layers?: number;
  /** Qwen3-VL only: blocks of the vision tower. */
  readonly visionLayers?: number;
  readonly vocab?: number;
  /** Default: as published for Qwen3, else one file. */
  readonly shards?: number;
  /** XLM-RoBERTa only. Prefix of the encoder's tensor names: `roberta.` as published, or none. */
  readonly prefix?: string;
  /** XLM-RoBERTa only. */
  readonly labels?: number;
  readonly seed?: number;
}

type Qwen3Shape = keyof typeof qwen3Shapes;
type Qwen3VlShape = keyof typeof qwen3VlShapes;

/** What is written beside the README. */
interface Layout {
  readonly tensors: readonly TensorPlan[];
  readonly config: object;
  readonly shards: number;
  readonly note?: string | undefined;
  writeTokenizer(): Promise<void>;
}

const chunkValues = 1 << 20;

/** Sums of four uniform 16-bit numbers by xorshift32: near normal, cut at 3.46 standard deviations. */
class Weights {
  #state: number;

  constructor(seed: number) {
    // Spread small seeds over all bits; the state must not be 0.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  fill(into: Float32Array, mean: number): void {
    const scale = 0.02 / Math.sqrt((2 ** 32 - 1) / 3);
    let state = this.#state;
    for (let i = 0; i < into.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      let sum = (state & 0xffff) + (state >>> 16);
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      sum += (state & 0xffff) + (state >>> 16);
      into[i] = mean + (sum - 131_070) * scale;
    }
    this.#state = state;
  }
}

function makeHeader(tensors: readonly TensorPlan[], dtype: string, bytes: number): Uint8Array {
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const tensor of tensors) {
    const begin = end;
    end += countValues(tensor) * bytes;
    header[tensor.name] = { dtype, shape: tensor.shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const file = new Uint8Array(8 + padded.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded.length), true);
  file.set(padded, 8);
  return file;
}

/** Writes one safetensors file; the next chunk is drawn while the last one is written. */
async function writeTensors(
  path: string,
  tensors: readonly TensorPlan[],
  dtype: keyof typeof dtypes,
  weights: Weights,
): Promise<void> {
  const [name, bytes] = dtypes[dtype];
  const convert = dtype === 'f16' ? convertF32ToF16 : convertF32ToBf16;
  const buffers = [new Float32Array(chunkValues), new Float32Array(chunkValues)] as const;
  const file: FileHandle = await open(path, 'w');
  try {
    await file.write(makeHeader(tensors, name, bytes));
    let pending: Promise<unknown> = Promise.resolve();
    let turn = 0;
    for (const tensor of tensors) {
      for (let left = countValues(tensor); left > 0; left -= chunkValues) {
        const buffer = buffers[turn++ % 2 === 0 ? 0 : 1].subarray(0, Math.min(left, chunkValues));
        weights.fill(buffer, tensor.mean);
        // In place: the 16-bit values take the first half of the same memory.
        const source = new Uint32Array(buffer.buffer, 0, buffer.length);
        if (bytes === 2) convert(source, new Uint16Array(buffer.buffer, 0, buffer.length));
        await pending;
        pending = writeAll(file, new Uint8Array(buffer.buffer, 0, buffer.length * bytes));
      }
    }
    await pending;
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done)).bytesWritten;
}

/** Splits into `count` runs of about equal size, none empty. */
function splitTensors(tensors: readonly TensorPlan[], count: number): TensorPlan[][] {
  const total = tensors.reduce((sum, tensor) => sum + countValues(tensor), 0);
  const shards: TensorPlan[][] = Array.from({ length: count }, () => []);
  let before = 0;
  tensors.forEach((tensor, i) => {
    const byValues = Math.floor((before * count) / total);
    // At least one tensor must stay for every shard that comes after.
    shards[Math.max(Math.min(byValues, i), count - (tensors.length - i))]!.push(tensor);
    before += countValues(tensor);
  });
  return shards;
}

function fiveDigits(n: number): string {
  return String(n).padStart(5, '0');
}

const isQwen3 = (shape: RandomCheckpoint['shape']): shape is Qwen3Shape => Object.hasOwn(qwen3Shapes, shape);
const isQwen3Vl = (shape: RandomCheckpoint['shape']): shape is Qwen3VlShape => Object.hasOwn(qwen3VlShapes, shape);

function refuseXlmRobertaFlags({ shape, prefix, labels }: RandomCheckpoint): void {
  if (prefix !== undefined || labels !== undefined)
    throw new Error(`--prefix and --labels are for XLM-RoBERTa's shapes, not ${shape}`);
}

async function layOutQwen3Vl(shape: Qwen3VlShape, options: RandomCheckpoint): Promise<Layout> {
  refuseXlmRobertaFlags(options);
  const { shards, vision, ...published } = qwen3VlShapes[shape];
  const { layers = published.layers, vocab = published.vocab, visionLayers = vision.depth } = options;
  const sizes: Qwen3Sizes = { ...published, layers, vocab };
  const tower = visionLayers === vision.depth ? vision : cutTower(vision, visionLayers);
  const tokenizer = await findQwen3Tokenizer(vocab, tinyVision);
  const ids = {
    start: tokenizer.idOf('<|vision_start|>'),
    end: tokenizer.idOf('<|vision_end|>'),
    image: tokenizer.idOf('<|image_pad|>'),
    video: tokenizer.idOf('<|video_pad|>'),
  };
  return {
    tensors: planQwen3VlTensors(sizes, tower),
    config: makeQwen3VlConfig(sizes, tower, tokenizer.tokens, ids, dtypes[options.dtype][2]),
    shards: options.shards ?? shards,
    note: tokenizer.note,
    async writeTokenizer() {
      await writeQwen3Tokenizer(tokenizer, options.out);
      for (const [name, value] of Object.entries(makePreprocessorFiles()))
        await writeFile(join(options.out, name), `${JSON.stringify(value, null, 2)}\n`);
    },
  };
}

async function layOutQwen3(shape: Qwen3Shape, options: RandomCheckpoint): Promise<Layout> {
  refuseXlmRobertaFlags(options);
  const { shards, ...published } = qwen3Shapes[shape];
  const { layers = published.layers, vocab = published.vocab } = options;
  const sizes: Qwen3Sizes = { ...published, layers, vocab };
  const tokenizer = await findQwen3Tokenizer(vocab);
  return {
    tensors: planQwen3Tensors(sizes),
    config: makeQwen3Config(sizes, tokenizer.tokens, dtypes[options.dtype][2]),
    shards: options.shards ?? shards,
    note: tokenizer.note,
    writeTokenizer: () => writeQwen3Tokenizer(tokenizer, options.out),
  };
}

function layOutXlmRoberta(shape: keyof typeof shapes, options: RandomCheckpoint): Layout {
  const { prefix = 'roberta.', labels = 1, seed = 1, shards = 1 } = options;
  const { base, ...published } = shapes[shape];
  const { layers = published.layers, vocab = published.vocab } = options;
  const sizes: Sizes = { ...published, layers, vocab, labels };
  return {
    tensors: planTensors(sizes, prefix),
    config: makeConfig(sizes, base, dtypes[options.dtype][2]),
    shards,
    async writeTokenizer() {
      if (await stat(tokenizerFolder).catch(() => undefined))
        await writePaddedTokenizer(tokenizerFolder, options.out, sizes.vocab, seed, sizes.positions - 2);
    },
  };
}

async function layOut(options: RandomCheckpoint): Promise<Layout> {
  const { shape, visionLayers } = options;
  if (isQwen3Vl(shape)) return layOutQwen3Vl(shape, options);
  if (visionLayers !== undefined) throw new Error(`--vision-layers is for Qwen3-VL's shapes, not ${shape}`);
  return isQwen3(shape) ? layOutQwen3(shape, options) : layOutXlmRoberta(shape, options);
}

/** @returns bytes of weights written, and what a user of the checkpoint should know */
export async function writeRandomCheckpoint(
  options: RandomCheckpoint,
): Promise<{ bytes: number; note: string | undefined }> {
  const { shape, seed = 1, dtype, out } = options;
  const layout = await layOut(options);
  const { tensors, config, shards, note } = layout;
  await mkdir(out, { recursive: true });
  const weights = new Weights(seed);
  const weightMap: Record<string, string> = {};
  const parts = splitTensors(tensors, shards);
  for (const [i, part] of parts.entries()) {
    const name = shards === 1 ? 'model.safetensors' : `model-${fiveDigits(i + 1)}-of-${fiveDigits(shards)}.safetensors`;
    await writeTensors(join(out, name), part, dtype, weights);
    for (const tensor of part) weightMap[tensor.name] = name;
  }
  const bytes = tensors.reduce((sum, tensor) => sum + countValues(tensor) * dtypes[dtype][1], 0);
  const write = (name: string, value: object) => writeFile(join(out, name), `${JSON.stringify(value, null, 2)}\n`);
  if (shards > 1)
    await write('model.safetensors.index.json', { metadata: { total_size: bytes }, weight_map: weightMap });
  await write('config.json', config);
  const about = `Random weights in the shape of ${shape}; scores mean nothing.`;
  await writeFile(join(out, 'README.md'), `${[about, note].filter(Boolean).join('\n')}\n`);
  await layout.writeTokenizer();
  return { bytes, note };
}

function choose<T extends string>(name: string, value: string | undefined, choices: Readonly<Record<T, unknown>>): T {
  if (value !== undefined && Object.hasOwn(choices, value)) return value as T;
  throw new Error(`--${name} is ${value} (one of ${Object.keys(choices).join(', ')})`);
}

function readArguments(): RandomCheckpoint {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      shape: text,
      dtype: text,
      out: text,
      layers: text,
      'vision-layers': text,
      vocab: text,
      shards: text,
      prefix: text,
      labels: text,
      seed: text,
    },
  });
  const count = (name: 'layers' | 'vision-layers' | 'vocab' | 'shards' | 'labels' | 'seed', key: string = name) => {
    const value = values[name];
    if (value === undefined) return {};
    if (!/^[1-9]\d{0,8}$/.test(value)) throw new Error(`--${name} is ${value} (a whole number of at least 1)`);
    return { [key]: Number(value) };
  };
  if (values.out === undefined) throw new Error('--out is missing (the folder to write)');
  const shape = choose('shape', values.shape, { ...shapes, ...qwen3Shapes, ...qwen3VlShapes });
  return {
    shape,
    dtype: choose('dtype', values.dtype ?? (isQwen3(shape) || isQwen3Vl(shape) ? 'bf16' : undefined), dtypes),
    out: values.out,
    ...(values.prefix !== undefined && {
      prefix: choose('prefix', values.prefix, { 'roberta.': 1, none: 1 }).replace('none', ''),
    }),
    ...count('layers'),
    ...count('vision-layers', 'visionLayers'),
    ...count('vocab'),
    ...count('shards'),
    ...count('labels'),
    ...count('seed'),
  };
}

async function main(): Promise<void> {
  const started = performance.now();
  const { bytes, note } = await writeRandomCheckpoint(readArguments());
  if (note !== undefined) console.log(note);
  console.log(`${(bytes / 1e9).toFixed(3)} GB of weights in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
