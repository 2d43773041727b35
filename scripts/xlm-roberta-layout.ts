/** Shapes, tensor names and config.json of published XLM-RoBERTa rerankers, for the scripts that write such checkpoints. */

/** Sizes from the published config.json files. */
export const shapes = {
  'bge-reranker-v2-m3': {
    hidden: 1024,
    layers: 24,
    heads: 16,
    intermediate: 4096,
    positions: 8194,
    vocab: 250_002,
    base: 'BAAI/bge-m3',
  },
  'bge-reranker-large': {
    hidden: 1024,
    layers: 24,
    heads: 16,
    intermediate: 4096,
    positions: 514,
    vocab: 250_002,
    base: 'xlm-roberta-large',
  },
  'bge-reranker-base': {
    hidden: 768,
    layers: 12,
    heads: 12,
    intermediate: 3072,
    positions: 514,
    vocab: 250_002,
    base: 'xlm-roberta-base',
  },
  tiny: { hidden: 64, layers: 2, heads: 2, intermediate: 256, positions: 514, vocab: 2000, base: 'tiny' },
} as const;
export interface TensorPlan {
  readonly name: string;
  readonly shape: readonly number[];
  /** 1 for LayerNorm weights, else 0; the spread is 0.02. */
  readonly mean: number;
}

export type Sizes = Record<'hidden' | 'layers' | 'heads' | 'intermediate' | 'positions' | 'vocab' | 'labels', number>;

/** All tensors, sorted by name as the Hugging Face writer sorts them. */
export function planTensors(s: Sizes, prefix: string): TensorPlan[] {
  const tensors: TensorPlan[] = [];
  const add = (name: string, shape: readonly number[], mean = 0) => tensors.push({ name, shape, mean });
  const linear = (name: string, out: number, into: number) => {
    add(`${name}.weight`, [out, into]);
    add(`${name}.bias`, [out]);
  };
  const norm = (name: string) => {
    add(`${name}.weight`, [s.hidden], 1);
    add(`${name}.bias`, [s.hidden]);
  };
  add(`${prefix}embeddings.word_embeddings.weight`, [s.vocab, s.hidden]);
  add(`${prefix}embeddings.position_embeddings.weight`, [s.positions, s.hidden]);
  add(`${prefix}embeddings.token_type_embeddings.weight`, [1, s.hidden]);
  norm(`${prefix}embeddings.LayerNorm`);
  for (let i = 0; i < s.layers; i++) {
    const layer = `${prefix}encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, s.hidden, s.hidden);
    linear(`${layer}.attention.output.dense`, s.hidden, s.hidden);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, s.intermediate, s.hidden);
    linear(`${layer}.output.dense`, s.hidden, s.intermediate);
    norm(`${layer}.output.LayerNorm`);
  }
  linear('classifier.dense', s.hidden, s.hidden);
  linear('classifier.out_proj', s.labels, s.hidden);
  return tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** config.json as published, key for key. */
export function makeConfig(s: Sizes, base: string, torchDtype: string): object {
  const labels = Array.from({ length: s.labels }, (_, i) => `LABEL_${i}`);
  return {
    _name_or_path: base,
    architectures: ['XLMRobertaForSequenceClassification'],
    attention_probs_dropout_prob: 0.1,
    bos_token_id: 0,
    classifier_dropout: null,
    eos_token_id: 2,
    hidden_act: 'gelu',
    hidden_dropout_prob: 0.1,
    hidden_size: s.hidden,
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    initializer_range: 0.02,
    intermediate_size: s.intermediate,
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    layer_norm_eps: 1e-5,
    max_position_embeddings: s.positions,
    model_type: 'xlm-roberta',
    num_attention_heads: s.heads,
    num_hidden_layers: s.layers,
    output_past: true,
    pad_token_id: 1,
    position_embedding_type: 'absolute',
    torch_dtype: torchDtype,
    transformers_version: '4.38.1',
    type_vocab_size: 1,
    use_cache: true,
    vocab_size: s.vocab,
  };
}

export function countValues({ shape }: TensorPlan): number {
  return shape.reduce((product, size) => product * size, 1);
}
