import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The keys of an XLM-RoBERTa config.json that decide the graph. */
export interface ModelConfig {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly layer_norm_eps: number;
  readonly pad_token_id: number;
}

interface Place {
  readonly file: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly bytes: number;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * A Hugging Face folder, read without wgrank's own checkpoint reader: were that reader wrong, the peer's scores would differ.
 * f32 files only, since the peer computes in f32.
 */
export class ModelFolder {
  readonly config: ModelConfig;
  readonly #places = new Map<string, Place>();

  constructor(folder: string) {
    this.config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as ModelConfig;
    const files = readdirSync(folder).filter((name) => /^model.*\.safetensors$/.test(name));
    if (files.length === 0) throw new Error(`no model*.safetensors in ${folder}`);
    for (const file of files) this.#readHeader(join(folder, file));
  }

  /** @returns one tensor of the expected shape; `name` without the prefix `roberta.`, which files may or may not have */
  tensor(name: string, shape: readonly number[]): Float32Array {
    const place = this.#places.get(`roberta.${name}`) ?? this.#places.get(name);
    if (place === undefined) throw new Error(`no tensor ${name}`);
    if (place.shape.join() !== shape.join())
      throw new Error(`${name} is [${place.shape.join()}], not [${shape.join()}]`);
    const bytes = new Uint8Array(place.bytes);
    readFully(place.file, bytes, place.start);
    return new Float32Array(bytes.buffer);
  }

  #readHeader(file: string): void {
    const prefix = new Uint8Array(8);
    readFully(file, prefix, 0);
    const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
    const json = new Uint8Array(headerBytes);
    readFully(file, json, 8);
    const header = JSON.parse(new TextDecoder().decode(json)) as Record<string, HeaderEntry>;
    for (const [name, entry] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      if (entry.dtype !== 'F32') throw new Error(`${name} is ${entry.dtype}; this bench reads F32 files only`);
      const [start, end] = entry.data_offsets;
      this.#places.set(name, { file, shape: entry.shape, start: 8 + headerBytes + start, bytes: end - start });
    }
  }
}

function readFully(file: string, into: Uint8Array, position: number): void {
  const handle = openSync(file, 'r');
  try {
    let done = 0;
    while (done < into.length) {
      const count = readSync(handle, into, done, into.length - done, position + done);
      if (count === 0) throw new Error(`${file} ends at byte ${position + done}`);
      done += count;
    }
  } finally {
    closeSync(handle);
  }
}
