import type { BiasedLinear, Linear, Weights } from '../checkpoint/weights.ts';
import type { Head, Net, Norm } from '../nn/net.ts';
import type { RaggedInputs } from '../nn/ragged-batch.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { XlmRobertaConfig } from './xlm-roberta-config.ts';

// XLM-RoBERTa for sequence classification (Conneau et al. 2019, arXiv 1911.02116; RoBERTa's classification head).
// T tokens of the batch · S sequences · C hidden · F intermediate · V vocabulary · P positions

interface LayerWeights {
  readonly query: Linear; //           [C, C]
  readonly keyValue: Linear; //        [2C, C]
  readonly attentionOutput: Linear; // [C, C]
  readonly attentionNorm: Norm; //     [C]
  readonly intermediate: BiasedLinear; // [F, C]
  readonly output: Linear; //          [C, F]
  readonly outputNorm: Norm; //        [C]
}

interface XlmRobertaWeights {
  readonly words: readonly Tensor[]; // [V, C] in parts
  readonly positions: Tensor; //       [P, C]
  readonly tokenType: Tensor; //       [C]
  readonly norm: Norm; //              [C]
  readonly layers: readonly LayerWeights[];
  readonly dense: BiasedLinear; //           [C, C]
  readonly score: Head; //             [C]
}

/** Post-norm encoder block. Rows that ask (`x`) may be fewer than rows that answer (`context`): in the last layer only the scored ones do. */
export function encoderBlock(
  net: Net,
  x: Tensor,
  context: Tensor,
  w: LayerWeights,
  heads: number,
  tiles: Tensor,
): Tensor {
  const q = net.linear(x, w.query); //                                              [R, C]
  const kv = net.linear(context, w.keyValue); //                                    [T, 2C]
  const a = net.attention(q, kv, tiles, heads); //                                  [R, C]
  const h = net.layerNorm(net.linearAdd(a, w.attentionOutput, x), w.attentionNorm); // [R, C]
  const f = net.linearGelu(h, w.intermediate); //                                   [R, F]
  return net.layerNorm(net.linearAdd(f, w.output, h), w.outputNorm); //             [R, C]
}

/** Token ids to one raw logit per sequence, read from its first token. */
export function xlmRoberta(net: Net, batch: RaggedInputs, w: XlmRobertaWeights, c: XlmRobertaConfig) {
  const learned = { kind: 'learned', positions: batch.positions, table: w.positions, tokenType: w.tokenType } as const;
  let x = net.layerNorm(net.embedding(batch.ids, w.words, learned), w.norm); // [T, C]
  const taps: Record<string, Tensor> = { embeddings: x };
  w.layers.slice(0, -1).forEach((layer, i) => {
    x = encoderBlock(net, x, x, layer, c.heads, batch.tiles); // [T, C]
    taps[`layer${i}`] = x;
  });
  const first = net.rows(x, batch.scored); // [S, C]
  const last = encoderBlock(net, first, x, w.layers.at(-1)!, c.heads, batch.scoredTiles); // [S, C]
  const pooled = net.linearTanh(last, w.dense); // [S, C]
  const logits = net.head(pooled, w.score); // [S]
  return { logits, taps: { ...taps, [`layer${w.layers.length - 1}`]: last, pooled } };
}

/** Names as Hugging Face writes them, with and without the encoder's prefix, in both spellings of LayerNorm. */
export function xlmRobertaWeights(root: Weights, c: XlmRobertaConfig): XlmRobertaWeights {
  const probe = 'embeddings.word_embeddings.weight';
  const prefix = ['roberta', 'xlm-roberta'].find((name) => root.has(`${name}.${probe}`)) ?? '';
  const encoder = root.at(prefix);
  const norm = (p: Weights): Norm => ({
    weight: p.vector(['LayerNorm.weight', 'LayerNorm.gamma'], c.hidden),
    bias: p.vector(['LayerNorm.bias', 'LayerNorm.beta'], c.hidden),
    eps: c.layerNormEps,
  });
  const embeddings = encoder.at('embeddings');
  const layers = Array.from({ length: c.layers }, (_, i): LayerWeights => {
    const p = encoder.at('encoder.layer', i);
    return {
      query: p.linear('attention.self.query', c.hidden, c.hidden),
      keyValue: p.stackedLinear(['attention.self.key', 'attention.self.value'], c.hidden, c.hidden),
      attentionOutput: p.linear('attention.output.dense', c.hidden, c.hidden),
      attentionNorm: norm(p.at('attention.output')),
      intermediate: p.linear('intermediate.dense', c.intermediate, c.hidden),
      output: p.linear('output.dense', c.hidden, c.intermediate),
      outputNorm: norm(p.at('output')),
    };
  });
  return {
    words: embeddings.table('word_embeddings.weight', c.vocabulary, c.hidden),
    positions: embeddings.wholeTable('position_embeddings.weight', c.positions, c.hidden),
    tokenType: embeddings.row('token_type_embeddings.weight', [c.tokenTypes, c.hidden], 0),
    norm: norm(embeddings),
    layers,
    dense: root.linear('classifier.dense', c.hidden, c.hidden),
    score: {
      weight: root.row('classifier.out_proj.weight', [c.labels, c.hidden], 0),
      bias: root.row('classifier.out_proj.bias', [c.labels], 0),
    },
  };
}

/** Tensors that published checkpoints carry and this forward pass does not use. */
export const unusedTensors = [/(^|\.)embeddings\.position_ids$/, /(^|\.)pooler\.dense\.(weight|bias)$/, /^lm_head\./];
