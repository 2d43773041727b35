import { OnnxFile } from './onnx-file.ts';
import type { ModelConfig, ModelFolder } from './model-folder.ts';

/**
 * One way to write the same exact model for ONNX Runtime.
 * `lastRow` computes the last layer for token 0 only, as wgrank does; exporters do not write it.
 */
export interface GraphForm {
  /** `gemm` takes the weight as stored, [out, in]; `gemm-nn` transposed, like `matmul`. */
  readonly linear: 'matmul' | 'gemm' | 'gemm-nn';
  readonly attention: 'plain' | 'mha' | 'attention';
  /** LayerNorm with residual (and bias) and GELU with bias as com.microsoft operators. */
  readonly fusedPointwise: boolean;
  readonly lastRow: boolean;
}

const matmul = { linear: 'matmul', attention: 'plain', fusedPointwise: true, lastRow: false } as const;

export const graphForms: Readonly<Record<string, GraphForm>> = {
  /** What an exporter writes: standard operators only. */
  plain: { ...matmul, fusedPointwise: false },
  fused: matmul,
  gemm: { ...matmul, linear: 'gemm' },
  'gemm-nn': { ...matmul, linear: 'gemm-nn' },
  'plain-gemm': { ...matmul, linear: 'gemm', fusedPointwise: false },
  'gemm-nn-row': { ...matmul, linear: 'gemm-nn', lastRow: true },
  /** com.microsoft.MultiHeadAttention, and Attention with packed q, k, v: not exact on every adapter, see README.md. */
  mha: { ...matmul, attention: 'mha' },
  attention: { ...matmul, attention: 'attention' },
};

const OPSET = 20;

/**
 * Writes the model for `batch` sequences of exactly `length` tokens: no padding, so no mask.
 * Inputs ids and positions i32 [batch, length]; output logits f32 [batch, 1].
 */
export function writeXlmRoberta(
  path: string,
  model: ModelFolder,
  form: GraphForm,
  batch: number,
  length: number,
): void {
  new GraphWriter(new OnnxFile(path), model, form, batch, length).write();
}

class GraphWriter {
  readonly #file: OnnxFile;
  readonly #model: ModelFolder;
  readonly #config: ModelConfig;
  readonly #form: GraphForm;
  readonly #batch: number;
  readonly #length: number;
  readonly #shapes = new Set<string>();

  constructor(file: OnnxFile, model: ModelFolder, form: GraphForm, batch: number, length: number) {
    this.#file = file;
    this.#model = model;
    this.#config = model.config;
    this.#form = form;
    this.#batch = batch;
    this.#length = length;
  }

  write(): void {
    const file = this.#file;
    const { hidden_size: hidden, num_hidden_layers: layers } = this.#config;
    file.integers('headsShape', [0, 0, this.#config.num_attention_heads, hidden / this.#config.num_attention_heads]);
    file.integers('mergedShape', [0, 0, hidden]);
    file.integers('firstToken', [0]);
    file.scalar('attentionScale', 1 / Math.sqrt(hidden / this.#config.num_attention_heads));

    let x = this.#embed();
    for (let layer = 0; layer < layers; layer++) x = this.#layer(x, layer);
    if (!this.#form.lastRow) x = file.node('Gather', [x, 'firstToken'], { axis: 1 });
    const first = file.node('Reshape', [x, this.#shape([this.#batch, hidden])]);
    const dense = file.node('Tanh', [this.#plainGemm(first, 'classifier.dense', hidden, hidden)]);
    const labels = this.#plainGemm(dense, 'classifier.out_proj', hidden, 1);
    file.rename(labels, 'logits');
    file.output('logits', [this.#batch, 1]);
    file.save(OPSET);
  }

  #embed(): string {
    const file = this.#file;
    const { hidden_size: hidden, vocab_size: vocab, max_position_embeddings: positions } = this.#config;
    const ids = file.input('ids', [this.#batch, this.#length]);
    const places = file.input('positions', [this.#batch, this.#length]);
    const words = file.node('Gather', [this.#weight('embeddings.word_embeddings.weight', [vocab, hidden]), ids]);
    // The token-type row is the same for every token: folded into the position table.
    const table = this.#model.tensor('embeddings.position_embeddings.weight', [positions, hidden]);
    const type = this.#model.tensor('embeddings.token_type_embeddings.weight', [1, hidden]);
    for (let i = 0; i < table.length; i++) table[i] = (table[i] ?? 0) + (type[i % hidden] ?? 0);
    const placed = file.node('Gather', [file.weight('positionTable', [positions, hidden], table), places]);
    return this.#layerNorm(file.node('Add', [words, placed]), 'embeddings.LayerNorm');
  }

  #layer(x: string, layer: number): string {
    const { hidden_size: hidden, num_hidden_layers: layers, intermediate_size: inner } = this.#config;
    const at = `encoder.layer.${layer}`;
    const firstOnly = this.#form.lastRow && layer === layers - 1;
    const scored = firstOnly ? this.#file.node('Gather', [x, 'firstToken'], { axis: 1 }) : x;
    const attended = this.#attend(x, scored, at);
    const h = this.#dense(attended, scored, `${at}.attention.output`, hidden, hidden, firstOnly);
    const wide = this.#gelu(h, `${at}.intermediate.dense`, hidden, inner, firstOnly);
    return this.#dense(wide, h, `${at}.output`, inner, hidden, firstOnly);
  }

  #attend(x: string, scored: string, at: string): string {
    const file = this.#file;
    const { num_attention_heads: heads, hidden_size: hidden } = this.#config;
    const name = (part: string) => `${at}.attention.self.${part}`;
    if (this.#form.attention === 'attention') {
      return file.fused('Attention', [x, this.#packedWeight(at), this.#packedBias(at)], { num_heads: heads });
    }
    const q = this.#linear(scored, name('query'), hidden, hidden, scored !== x);
    const k = this.#linear(x, name('key'), hidden, hidden);
    const v = this.#linear(x, name('value'), hidden, hidden);
    if (this.#form.attention === 'mha') return file.fused('MultiHeadAttention', [q, k, v], { num_heads: heads });
    const split = (value: string, perm: readonly number[]) =>
      file.node('Transpose', [file.node('Reshape', [value, 'headsShape'])], { perm });
    const scores = file.node('MatMul', [split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1])]);
    const weights = file.node('Softmax', [file.node('Mul', [scores, 'attentionScale'])], { axis: -1 });
    const mixed = file.node('MatMul', [weights, split(v, [0, 2, 1, 3])]);
    return file.node('Reshape', [file.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }), 'mergedShape']);
  }

  /** LayerNorm(dense(x) + residual). */
  #dense(x: string, residual: string, at: string, from: number, to: number, row = false): string {
    const file = this.#file;
    const norm = `${at}.LayerNorm`;
    if (!this.#form.fusedPointwise) {
      return this.#layerNorm(file.node('Add', [this.#linear(x, `${at}.dense`, from, to, row), residual]), norm);
    }
    const gamma = this.#weight(`${norm}.weight`, [to]);
    const beta = this.#weight(`${norm}.bias`, [to]);
    const epsilon = { epsilon: { float: this.#config.layer_norm_eps } };
    if (this.#form.linear !== 'matmul') {
      const y = this.#linear(x, `${at}.dense`, from, to, row);
      return file.fused('SkipLayerNormalization', [y, residual, gamma, beta], epsilon);
    }
    const y = file.node('MatMul', [x, this.#transposed(`${at}.dense.weight`, from, to)]);
    const bias = this.#weight(`${at}.dense.bias`, [to]);
    return file.fused('SkipLayerNormalization', [y, residual, gamma, beta, bias], epsilon);
  }

  /** GELU(dense(x)) with the exact erf form. */
  #gelu(x: string, name: string, from: number, to: number, row: boolean): string {
    if (!this.#form.fusedPointwise || this.#form.linear !== 'matmul') {
      return this.#file.node('Gelu', [this.#linear(x, name, from, to, row)], { approximate: 'none' });
    }
    const y = this.#file.node('MatMul', [x, this.#transposed(`${name}.weight`, from, to)]);
    return this.#file.fused('BiasGelu', [y, this.#weight(`${name}.bias`, [to])]);
  }

  /** dense(x) for x [batch, rows, from]. */
  #linear(x: string, name: string, from: number, to: number, row = false): string {
    const file = this.#file;
    if (this.#form.linear === 'matmul') {
      const y = file.node('MatMul', [x, this.#transposed(`${name}.weight`, from, to)]);
      return file.node('Add', [y, this.#weight(`${name}.bias`, [to])]);
    }
    const flat = file.node('Reshape', [x, this.#shape([-1, from])]);
    const y =
      this.#form.linear === 'gemm'
        ? this.#plainGemm(flat, name, from, to)
        : file.node('Gemm', [flat, this.#transposed(`${name}.weight`, from, to), this.#weight(`${name}.bias`, [to])]);
    return file.node('Reshape', [y, this.#shape([this.#batch, row ? 1 : this.#length, to])]);
  }

  #shape(lengths: readonly number[]): string {
    const name = `shape_${lengths.join('_')}`;
    if (!this.#shapes.has(name)) this.#file.integers(name, lengths);
    this.#shapes.add(name);
    return name;
  }

  #plainGemm(x: string, name: string, from: number, to: number): string {
    const inputs = [x, this.#weight(`${name}.weight`, [to, from]), this.#weight(`${name}.bias`, [to])];
    return this.#file.node('Gemm', inputs, { transB: 1 });
  }

  #layerNorm(x: string, name: string): string {
    const hidden = [this.#config.hidden_size];
    const inputs = [x, this.#weight(`${name}.weight`, hidden), this.#weight(`${name}.bias`, hidden)];
    return this.#file.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: this.#config.layer_norm_eps } });
  }

  #weight(name: string, shape: readonly number[]): string {
    return this.#file.weight(name, shape, this.#model.tensor(name, shape));
  }

  /** A weight [out, in] as MatMul wants it, [in, out]. */
  #transposed(name: string, from: number, to: number): string {
    return this.#file.weight(name, [from, to], transpose(this.#model.tensor(name, [to, from]), to, from));
  }

  #packedWeight(at: string): string {
    const { hidden_size: hidden } = this.#config;
    const packed = new Float32Array(3 * hidden * hidden);
    ['query', 'key', 'value'].forEach((part, index) => {
      const rows = this.#model.tensor(`${at}.attention.self.${part}.weight`, [hidden, hidden]);
      for (let to = 0; to < hidden; to++) {
        for (let from = 0; from < hidden; from++) {
          packed[from * 3 * hidden + index * hidden + to] = rows[to * hidden + from] ?? 0;
        }
      }
    });
    return this.#file.weight(`${at}.qkv.weight`, [hidden, 3 * hidden], packed);
  }

  #packedBias(at: string): string {
    const { hidden_size: hidden } = this.#config;
    const packed = new Float32Array(3 * hidden);
    ['query', 'key', 'value'].forEach((part, index) => {
      packed.set(this.#model.tensor(`${at}.attention.self.${part}.bias`, [hidden]), index * hidden);
    });
    return this.#file.weight(`${at}.qkv.bias`, [3 * hidden], packed);
  }
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column] ?? 0;
  }
  return out;
}
