import { type FileHandle, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { WgrankError } from '../errors.ts';
import { type Checkpoint, type TensorInfo, isWeightStorage } from './checkpoint.ts';
import { quote } from './json-scan.ts';
import {
  type ModelFolder,
  locateModelFile,
  nameFileError,
  openModelFolder,
  openRegularFile,
  readFully,
} from './model-file-node.ts';
import { readModelFile } from './read-json-node.ts';
import { maxHeaderBytes, parseSafetensors, preambleBytes, readHeaderLength } from './safetensors.ts';
import type { StoredTensor } from './safetensors-header.ts';
import { checkShards, parseShardIndex } from './shard-index.ts';

const singleFile = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';

/** An open safetensors file. */
interface Shard {
  /** Path for messages. */
  readonly shown: string;
  readonly file: FileHandle;
  readonly dataBegin: number;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Opens the weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names. Reads and
 * checks every header; no weights yet. Files may be links only inside the folder or to the blobs of the same hub cache entry.
 * @throws WgrankError `checkpoint-missing`, `checkpoint-invalid`
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  const folder = await openModelFolder(dir);
  const single = await locateModelFile(folder, singleFile);
  if (single !== undefined) return new FileCheckpoint([await openShard(single, join(dir, singleFile))]);
  if ((await locateModelFile(folder, indexFile)) === undefined) throw await nameMissingWeights(folder);
  return await openShards(folder, dir);
}

async function openShards(folder: ModelFolder, dir: string): Promise<Checkpoint> {
  const shownIndex = join(dir, indexFile);
  const index = parseShardIndex(
    await readModelFile(folder, indexFile, maxHeaderBytes, 'checkpoint-invalid'),
    shownIndex,
  );
  const paths = new Map<string, string>();
  const missing: string[] = [];
  for (const name of index.shards) {
    const path = await locateModelFile(folder, name);
    if (path === undefined) missing.push(name);
    else paths.set(name, path);
  }
  if (missing.length > 0) {
    const names = missing.slice(0, 20).join(', ') + (missing.length > 20 ? `, … (${missing.length} files)` : '');
    throw new WgrankError(
      'checkpoint-missing',
      'safetensors',
      `${quote(dir)} lacks ${names}, which ${indexFile} names`,
    );
  }
  const shards: Shard[] = [];
  try {
    const tensorsOf = new Map<string, Shard['tensors']>();
    for (const [name, path] of paths) {
      const shard = await openShard(path, join(dir, name));
      shards.push(shard);
      tensorsOf.set(name, shard.tensors);
    }
    checkShards(index, tensorsOf, shownIndex);
    return new FileCheckpoint(shards);
  } catch (error) {
    await Promise.all(shards.map((shard) => shard.file.close()));
    throw error;
  }
}

async function openShard(path: string, shown: string): Promise<Shard> {
  const { file, bytes } = await openRegularFile(path, shown, 'safetensors');
  try {
    const preamble = new Uint8Array(preambleBytes);
    const read = await readFully(file, preamble, 0);
    const header = new Uint8Array(readHeaderLength(preamble.subarray(0, read), bytes, shown));
    if ((await readFully(file, header, 8)) < header.length) {
      throw new WgrankError('checkpoint-invalid', 'safetensors', `${quote(shown)} became shorter while it was read`);
    }
    return { shown, file, ...parseSafetensors(header, bytes, shown) };
  } catch (error) {
    await file.close();
    throw error instanceof WgrankError ? error : nameFileError(error, shown, 'checkpoint-invalid', 'safetensors');
  }
}

/** Says what the folder holds instead of safetensors weights. */
async function nameMissingWeights(folder: ModelFolder): Promise<WgrankError> {
  const names = await readdir(folder.path);
  const lacks = `${quote(folder.path)} has neither ${singleFile} nor ${indexFile}`;
  const pickled = names.find((name) => /^pytorch_model.*\.bin(\.index\.json)?$/.test(name));
  const others = names.filter((name) => /\.(safetensors|gguf|onnx)$/.test(name)).slice(0, 5);
  let next = 'the model path must be a folder in Hugging Face layout';
  if (pickled !== undefined) {
    next = `it has ${pickled}: convert it once in Python with from_pretrained(folder).save_pretrained(folder, safe_serialization=True), or download the model.safetensors that the hub offers`;
  } else if (others.length > 0) {
    next = `it has ${others.map(quote).join(', ')}; ${next}`;
  }
  return new WgrankError('checkpoint-missing', 'safetensors', `${lacks} (${next})`);
}

class FileCheckpoint implements Checkpoint {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #shards: readonly Shard[];
  #closed: Promise<void> | undefined;

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
    this.tensors = new Map(shards.flatMap((shard) => [...shard.tensors]));
  }

  async read(name: string, begin: number, into: Uint8Array): Promise<void> {
    if (this.#closed !== undefined) throw new WgrankError('engine-stopped', 'safetensors', 'the checkpoint is closed');
    const shard = this.#shards.find((candidate) => candidate.tensors.has(name));
    const tensor = shard?.tensors.get(name);
    if (shard === undefined || tensor === undefined) {
      throw new WgrankError('tensor-missing', 'safetensors', `no tensor ${quote(name)}`);
    }
    if (!isWeightStorage(tensor.dtype)) {
      throw new WgrankError(
        'tensor-shape',
        'safetensors',
        `tensor ${quote(name)} is ${tensor.dtype} (weights are F32, F16 or BF16)`,
      );
    }
    const end = begin + into.length;
    if (!Number.isSafeInteger(begin) || begin < 0 || end > tensor.byteLength) {
      throw new WgrankError(
        'tensor-shape',
        'safetensors',
        `bytes [${begin}, ${end}) of tensor ${quote(name)} with ${tensor.byteLength} bytes`,
      );
    }
    let read: number;
    try {
      read = await readFully(shard.file, into, shard.dataBegin + tensor.begin + begin);
    } catch (error) {
      throw nameFileError(error, shard.shown, 'checkpoint-invalid', 'safetensors');
    }
    if (read < into.length) {
      const detail = `ends ${into.length - read} bytes before the end of tensor ${quote(name)}'s bytes [${begin}, ${end})`;
      throw new WgrankError(
        'checkpoint-invalid',
        'safetensors',
        `${quote(shard.shown)} ${detail} (it became shorter after it was opened)`,
      );
    }
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#shards.map((shard) => shard.file.close())).then(() => undefined);
    return this.#closed;
  }
}
