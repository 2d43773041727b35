import type { Linear, Weights } from '../checkpoint/weights.ts';
import type { Head, Net, RmsNorm, Rotary } from '../nn/net.ts';
import type { SharedInputs } from '../nn/ragged-batch.ts';
import { rotaryTable } from '../nn/rotary.ts';
import { WgrankError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { RecordContext } from './model.ts';
import type { DecoderConfig, Qwen3Config } from './qwen3-config.ts';

// Qwen3 (Yang et al. 2025, arXiv 2505.09388) as a reranker: the last token's state, and one vector instead of the vocabulary.
// T tokens of the batch · S sequences · C hidden · F intermediate · V vocabulary · H query heads · G key-value heads · D head

interface LayerWeights {
  readonly inputNorm: RmsNorm; //         [C]
  readonly query: Linear; //              [H·D, C]
  readonly keyValue: Linear; //           [2·G·D, C]
  readonly queryRotary: Rotary; //        [P, D], norm [D]
  readonly keyRotary: Rotary; //          [P, D], norm [D]
  readonly output: Linear; //             [C, H·D]
  readonly postAttentionNorm: RmsNorm; // [C]
  readonly gate: Linear; //               [F, C]
  readonly up: Linear; //                 [F, C]
  readonly down: Linear; //               [C, F]
}

export interface Qwen3Weights {
  readonly tokens: readonly Tensor[]; // [V, C] in parts
  readonly layers: readonly LayerWeights[];
  readonly norm: RmsNorm; //             [C]
  readonly score: Head; //               [C]
}

/** The rows that ask in a block, their positions, and what they see. */
interface Asking {
  readonly positions: Tensor; // [R]
  readonly tiles: Tensor;
  /** Chosen rows [R] of the block's input; undefined: all of them. */
  readonly rows?: Tensor;
}

/** Pre-norm decoder block: grouped-query attention over rotated, normed heads, then SwiGLU. In the last layer only the scored rows ask. */
export function decoderBlock(
  net: Net,
  x: Tensor,
  positions: Tensor,
  asking: Asking,
  w: LayerWeights,
  c: DecoderConfig,
): Tensor {
  const chosen = (t: Tensor) => (asking.rows ? net.rows(t, asking.rows) : t);
  const n = net.rmsNorm(x, w.inputNorm); //                                                        [T, C]
  const kv = net.rope(net.linear(n, w.keyValue), positions, w.keyRotary, 2 * c.kvHeads, c.kvHeads); // [T, 2·G·D]
  const q = net.rope(net.linear(chosen(n), w.query), asking.positions, w.queryRotary, c.heads); //     [R, H·D]
  const a = net.attention(q, kv, asking.tiles, c.heads, c.kvHeads); //                             [R, H·D]
  const h = net.linearAdd(a, w.output, chosen(x)); //                                              [R, C]
  const m = net.rmsNorm(h, w.postAttentionNorm); //                                                [R, C]
  const f = net.swiglu(net.linear(m, w.gate), net.linear(m, w.up)); //                             [R, F]
  return net.linearAdd(f, w.down, h); //                                                           [R, C]
}

/** Token ids to one logit per sequence, read from its last token. */
export function qwen3(net: Net, batch: SharedInputs, w: Qwen3Weights, c: Qwen3Config) {
  return decode(net, net.embedding(batch.ids, w.tokens, { kind: 'none' }), batch, w, c);
}

/**
 * Embeddings [T, C] to one logit per sequence.
 * @param inject what is added behind a layer, where more than text is read
 */
export function decode(
  net: Net,
  embeddings: Tensor,
  batch: SharedInputs,
  w: Qwen3Weights,
  c: DecoderConfig,
  inject: (x: Tensor, layer: number) => Tensor = (x) => x,
) {
  const { positions, tiles } = batch;
  let x = embeddings; // [T, C]
  const taps: Record<string, Tensor> = { embeddings: x };
  w.layers.slice(0, -1).forEach((layer, i) => {
    x = inject(decoderBlock(net, x, positions, { positions, tiles }, layer, c), i); // [T, C]
    taps[`layer${i}`] = x;
  });
  const scored = { positions: batch.scoredPositions, tiles: batch.scoredTiles, rows: batch.scored };
  const last = decoderBlock(net, x, positions, scored, w.layers.at(-1)!, c); // [S, C]
  const final = net.rmsNorm(last, w.norm); // [S, C]
  const logits = net.head(final, w.score); // [S]
  return { logits, taps: { ...taps, [`layer${w.layers.length - 1}`]: last, final } };
}

/** The decoder's tensors below the first of some prefixes that has them: exports differ in it. */
export function findDecoder(root: Weights, prefixes: readonly string[]): Weights {
  const found = prefixes.find((prefix) => root.at(prefix).has('embed_tokens.weight'));
  return root.at(found ?? prefixes[0]!);
}

/**
 * Names as Hugging Face writes them.
 * @param base where the decoder's tensors are
 * @param root where the output layer's are
 */
export function qwen3Weights(base: Weights, root: Weights, c: Qwen3Config, context: RecordContext): Qwen3Weights {
  const norm = (p: Weights, name: string, size: number): RmsNorm => ({
    weight: p.vector(`${name}.weight`, size),
    eps: c.rmsNormEps,
  });
  const table = root.constant('rotary table', [context.maxTokens, c.headSize], () =>
    rotaryTable(context.maxTokens, c.headSize, c.ropeTheta),
  );
  const stacked = (p: Weights, names: readonly string[], n: number): Linear =>
    c.attentionBias ? p.stackedLinear(names, n, c.hidden) : p.stackedWeights(names, n, c.hidden);
  const layers = Array.from({ length: c.layers }, (_, i): LayerWeights => {
    const p = base.at('layers', i);
    const attention = p.at('self_attn');
    const headNorm = (name: string) => (c.headNorms ? norm(attention, name, c.headSize) : undefined);
    return {
      inputNorm: norm(p, 'input_layernorm', c.hidden),
      query: stacked(attention, ['q_proj'], c.heads * c.headSize),
      keyValue: stacked(attention, ['k_proj', 'v_proj'], c.kvHeads * c.headSize),
      queryRotary: { table, norm: headNorm('q_norm'), axes: c.rotaryAxes },
      keyRotary: { table, norm: headNorm('k_norm'), axes: c.rotaryAxes },
      output: attention.stackedWeights(['o_proj'], c.hidden, c.heads * c.headSize),
      postAttentionNorm: norm(p, 'post_attention_layernorm', c.hidden),
      gate: p.stackedWeights(['mlp.gate_proj'], c.intermediate, c.hidden),
      up: p.stackedWeights(['mlp.up_proj'], c.intermediate, c.hidden),
      down: p.stackedWeights(['mlp.down_proj'], c.hidden, c.intermediate),
    };
  });
  return {
    tokens: base.table('embed_tokens.weight', c.vocabulary, c.hidden),
    layers,
    norm: norm(base, 'norm', c.hidden),
    score: {
      weight: scoringVector(root, base, c, context),
      bias: root.constant('no bias', [1], () => new Float32Array(1)),
    },
  };
}

/** One vector whose product with the last state is the logit: w_yes - w_no, or a classification head's first row. */
function scoringVector(root: Weights, base: Weights, c: Qwen3Config, { scoring }: RecordContext): Tensor {
  if (c.labels !== undefined) return root.row('score.weight', [c.labels, c.hidden], 0);
  if (!scoring) throw new WgrankError('config-invalid', 'qwen3', 'a causal LM needs the tokens that it is scored by');
  for (const id of [scoring.yes, scoring.no ?? 0]) {
    if (id < c.vocabulary) continue;
    throw new WgrankError('config-invalid', 'qwen3', `token ${id} is scored (vocab_size is ${c.vocabulary})`);
  }
  const [from, name] = c.tied ? [base, 'embed_tokens.weight'] : [root, 'lm_head.weight'];
  const shape = [c.vocabulary, c.hidden] as const;
  return scoring.no === undefined
    ? from.row(name, shape, scoring.yes)
    : from.rowDifference(name, shape, scoring.yes, scoring.no);
}

/** Tensors that checkpoints carry and this forward pass does not use. */
export function unusedTensors({ tied, labels }: Qwen3Config): readonly RegExp[] {
  const inverseFrequencies = /(^|\.)rotary_emb\.inv_freq$/;
  return tied || labels !== undefined
    ? [inverseFrequencies, /^(language_model\.)?lm_head\.weight$/]
    : [inverseFrequencies];
}
