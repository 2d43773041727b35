import type { Weights } from '../checkpoint/weights.ts';
import { WgrankError } from '../errors.ts';
import { Graph } from '../graph/graph.ts';
import type { Net } from '../nn/net.ts';
import { axes, declareSharedInputs, type HostBatch, type SharedInputs } from '../nn/ragged-batch.ts';
import { noRow } from '../ops/inject-rows.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { RecordContext, Recording } from './model.ts';
import { decode, findDecoder, qwen3Weights, unusedTensors, type Qwen3Weights } from './qwen3.ts';
import type { Qwen3VlConfig } from './qwen3-vl-config.ts';
import { recordVisionTower } from './qwen3-vl-vision.ts';

// Qwen3-VL (Bai et al. 2025, arXiv 2511.21631): a Qwen3 whose embeddings of pictures come from a vision tower, and whose first
// layers get more of it from the tower's earlier blocks (DeepStack, Meng et al. 2024, arXiv 2406.04334).
// T tokens of the batch · S sequences · C hidden · V rows of the stores

/** What the vision tower has left for the tokens of a batch. */
interface Seen {
  /** u32 [T]: row of the stores, or `noRow` for a text token */
  readonly rows: Tensor;
  readonly merged: Tensor; //               [V, C]
  /** One for each of the first layers. */
  readonly deepstack: readonly Tensor[]; // [V, C]
}

/** Token ids and what was seen to one logit per sequence, read from its last token, which is no picture's. */
export function qwen3Vl(net: Net, batch: SharedInputs, seen: Seen, w: Qwen3Weights, c: Qwen3VlConfig) {
  const text = net.embedding(batch.ids, w.tokens, { kind: 'none' }); //       [T, C]
  const embeddings = net.inject(text, seen.rows, seen.merged, 'replace'); //  [T, C]
  return decode(net, embeddings, batch, w, c.text, (x, layer) => {
    const features = seen.deepstack[layer];
    return features ? net.inject(x, seen.rows, features, 'add') : x; //       [T, C]
  });
}

/** Records both graphs. Names as Hugging Face writes them, now and in earlier exports. */
export function recordQwen3Vl(net: Net, root: Weights, c: Qwen3VlConfig, context: RecordContext): Recording {
  const { vision } = context;
  if (!vision) throw new WgrankError('config-invalid', 'qwen3-vl', 'nothing says how pictures are prepared');
  const tower = recordVisionTower(net.beside(new Graph()), findVision(root), c.vision, c.text.hidden, vision);
  const base = findDecoder(root, ['model.language_model', 'language_model.model', 'language_model', 'model', '']);
  const head = root.at(['', 'language_model'].find((prefix) => root.at(prefix).has('lm_head.weight')) ?? '');
  const weights = qwen3Weights(base, head, c.text, context);
  // Behind the last layer only the scored tokens are left, and none of them is a picture's.
  const used = [tower.merged, ...tower.deepstack.slice(0, c.text.layers - 1)];
  const stores = used.map(({ name }) => net.graph.store(name, 'f32', [vision.rows, c.text.hidden]));
  const batch = declareSharedInputs(net.graph, 3);
  const [merged, ...deepstack] = stores as [Tensor, ...Tensor[]];
  const rows = net.graph.input('visualRows', 'u32', [axes.tokens]);
  const recorded = qwen3Vl(net, batch, { rows, merged, deepstack }, weights, c);
  for (const features of used) tower.graph.output(features);
  return {
    ...recorded,
    uploads: root.finish(unusedTensors(c.text)),
    vision: {
      graph: tower.graph,
      features: used.map((features, i) => ({ rows: features, store: stores[i]! })),
      taps: tower.taps,
    },
  };
}

function findVision(root: Weights): Weights {
  const prefixes = ['model.visual', 'visual', 'model.vision_model'];
  return root.at(prefixes.find((prefix) => root.at(prefix).has('patch_embed.proj.weight')) ?? prefixes[0]!);
}

/** Takes the stores' rows out of the ids: in a batch's sequences `~row` stands for one. @param token any id, for their places */
export function shareVisualRows(batch: HostBatch, token: number): HostBatch {
  const ids = batch.inputs['ids']!.slice();
  const visualRows = new Uint32Array(ids.length).fill(noRow);
  for (let i = 0; i < ids.length; i++) {
    if (ids[i]! < 2 ** 31) continue;
    visualRows[i] = ~ids[i]! >>> 0;
    ids[i] = token;
  }
  return { ...batch, inputs: { ...batch.inputs, ids, visualRows } };
}
