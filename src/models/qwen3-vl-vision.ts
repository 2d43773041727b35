import type { BiasedLinear, Weights } from '../checkpoint/weights.ts';
import type { Net, Norm, Rotary } from '../nn/net.ts';
import { frameRotaryTable } from '../nn/rotary.ts';
import { declareVisualInputs, visualAxes, type VisualInputs } from '../nn/visual-batch.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { VisionConfig } from './qwen3-vl-config.ts';
import type { PixelNorm, VisionContext } from './model.ts';

// The vision tower of Qwen3-VL (arXiv 2511.21631).
// Sizes as published: patches of 2 frames and 16 x 16 pixels, 2 x 2 of them a token, a table of 48 x 48 positions.
// P patches of the batch · M tokens that they become · C hidden · F intermediate · H heads of D · O language model's hidden

/** Of every norm in the tower; no configuration file has it. source: transformers 5.18 `Qwen3VLVisionBlock` */
const eps = 1e-6;

interface BlockWeights {
  readonly norm1: Norm; //            [C]
  readonly query: BiasedLinear; //    [C, C]
  readonly keyValue: BiasedLinear; // [2·C, C]
  readonly rotary: Rotary;
  readonly output: BiasedLinear; //   [C, C]
  readonly norm2: Norm; //            [C]
  readonly fc1: BiasedLinear; //      [F, C]
  readonly fc2: BiasedLinear; //      [C, F]
}

interface MergerWeights {
  readonly norm: Norm; //        [C], or [4·C] for DeepStack's
  readonly fc1: BiasedLinear; // [4·C, 4·C]
  readonly fc2: BiasedLinear; // [O, 4·C]
}

interface TowerWeights {
  readonly patches: BiasedLinear; // [C, 3·2·16·16]
  readonly positions: Tensor; //     [48·48, C]
  readonly blocks: readonly BlockWeights[];
  readonly merger: MergerWeights;
  readonly deepstack: readonly MergerWeights[];
}

/** Pre-norm block; attention goes both ways, within a frame. */
function visionBlock(net: Net, x: Tensor, { positions, tiles }: VisualInputs, w: BlockWeights, c: VisionConfig) {
  const n = net.layerNorm(x, w.norm1); //                                                          [P, C]
  const q = net.rope(net.linear(n, w.query), positions, w.rotary, c.heads); //                     [P, C]
  const kv = net.rope(net.linear(n, w.keyValue), positions, w.rotary, 2 * c.heads, c.heads); //    [P, 2·C]
  const h = net.linearAdd(net.attention(q, kv, tiles, c.heads), w.output, x); //                   [P, C]
  const f = net.linearGeluTanh(net.layerNorm(h, w.norm2), w.fc1); //                               [P, F]
  return net.linearAdd(f, w.fc2, h); //                                                            [P, C]
}

/** A block of patches to a token: their rows one behind the other are one row. */
function together(net: Net, x: Tensor, c: VisionConfig): Tensor {
  return net.graph.view(x, [visualAxes.merged, c.mergeSize ** 2 * c.hidden]); //                   [P, C] → [M, 4·C]
}

/** The tower's end norms patches, and then puts them together. */
function mergeTokens(net: Net, x: Tensor, w: MergerWeights, c: VisionConfig): Tensor {
  const n = together(net, net.layerNorm(x, w.norm), c); //                                         [M, 4·C]
  return net.linear(net.linearGelu(n, w.fc1), w.fc2); //                                           [M, O]
}

/** DeepStack's mergers put patches together, and then norm what they are. */
function mergeDeepstack(net: Net, x: Tensor, w: MergerWeights, c: VisionConfig): Tensor {
  const n = net.layerNorm(together(net, x, c), w.norm); //                                         [M, 4·C]
  return net.linear(net.linearGelu(n, w.fc1), w.fc2); //                                           [M, O]
}

/** Pixels to tokens of the language model, and what DeepStack adds to its first layers. */
export function visionTower(net: Net, batch: VisualInputs, pixels: PixelNorm, w: TowerWeights, c: VisionConfig) {
  const values = net.patchify(batch.pixels, batch.patches, { ...c, ...pixels }); //          [P, 3·2·16·16]
  const patches = net.linear(values, w.patches); //                                          [P, C]
  let x = net.interpolate(patches, batch.tableRows, batch.tableWeights, w.positions); //     [P, C]
  const taps: Record<string, Tensor> = { values, embeddings: x };
  const deepstack: Tensor[] = []; // [M, O] each
  w.blocks.forEach((block, i) => {
    x = visionBlock(net, x, batch, block, c); // [P, C]
    taps[`block${i}`] = x;
    const at = c.deepstack.indexOf(i);
    if (at >= 0) deepstack.push((taps[`deepstack${at}`] = mergeDeepstack(net, x, w.deepstack[at]!, c)));
  });
  return { merged: (taps['merged'] = mergeTokens(net, x, w.merger, c)), deepstack, taps }; // [M, O]
}

/** Records the tower on the net's graph. @param out the language model's hidden size */
export function recordVisionTower(net: Net, root: Weights, c: VisionConfig, out: number, context: VisionContext) {
  const batch = declareVisualInputs(net.graph);
  const w = towerWeights(root, c, out, context.patches);
  return { graph: net.graph, ...visionTower(net, batch, context.pixels, w, c) };
}

/** Names as Hugging Face writes them. @param patches that a batch has room for, and so the longest side of a frame twice over */
function towerWeights(root: Weights, c: VisionConfig, out: number, patches: number): TowerWeights {
  const { hidden, intermediate, heads } = c;
  const norm = (p: Weights, name: string, size: number): Norm => ({
    weight: p.vector(`${name}.weight`, size),
    bias: p.vector(`${name}.bias`, size),
    eps,
  });
  const places = Math.ceil(patches / c.mergeSize);
  const table = root.constant('rotary table of frames', [places, hidden / heads], () =>
    frameRotaryTable(places, hidden / heads, c.ropeTheta),
  );
  const wide = c.mergeSize ** 2 * hidden;
  const merger = (p: Weights, normSize: number): MergerWeights => ({
    norm: norm(p, 'norm', normSize),
    fc1: p.linear('linear_fc1', wide, wide),
    fc2: p.linear('linear_fc2', out, wide),
  });
  return {
    patches: root.patchLinear('patch_embed.proj', hidden, [3, c.temporalPatchSize, c.patchSize, c.patchSize]),
    positions: root.wholeTable('pos_embed.weight', c.tableSide ** 2, hidden),
    blocks: Array.from({ length: c.depth }, (_, i): BlockWeights => {
      const p = root.at('blocks', i);
      return {
        norm1: norm(p, 'norm1', hidden),
        query: p.linearRows('attn.qkv', [3 * hidden, hidden], 0, hidden),
        keyValue: p.linearRows('attn.qkv', [3 * hidden, hidden], hidden, 2 * hidden),
        rotary: { table, norm: undefined, axes: { kind: 'row-column' } },
        output: p.linear('attn.proj', hidden, hidden),
        norm2: norm(p, 'norm2', hidden),
        fc1: p.linear('mlp.linear_fc1', intermediate, hidden),
        fc2: p.linear('mlp.linear_fc2', hidden, intermediate),
      };
    }),
    merger: merger(root.at('merger'), hidden),
    deepstack: c.deepstack.map((_, i) => merger(root.at('deepstack_merger_list', i), wide)),
  };
}
