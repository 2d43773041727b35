import { readFileSync } from 'node:fs';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { parseSafetensors, preambleBytes, readHeaderLength } from '../../src/checkpoint/safetensors.ts';
import { allocateWeights, uploadWeights } from '../../src/checkpoint/upload.ts';
import { Weights, type StorageDtype } from '../../src/checkpoint/weights.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Plan } from '../../src/graph/plan.ts';
import type { ScoringTokens, VisionModel, VisionRecording } from '../../src/models/model.ts';
import { findFamily } from '../../src/models/registry.ts';
import { Net } from '../../src/nn/net.ts';
import type { FramePair } from '../../src/nn/visual-batch.ts';
import { readConfig } from '../../src/rerank/describe-model-node.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { VisualPairs } from '../../src/rerank/visual-pairs.ts';
import { placeVisuals, VisualStore } from '../../src/rerank/visual-store.ts';
import { testGpu } from './op-harness.ts';

export const fixture = (name: string) => new URL(`../golden/fixtures/${name}`, import.meta.url).pathname;

const kernelSets = {
  own: undefined,
  portable: { software: true, subgroupSize: 0 },
  gpu: { software: false, subgroupSize: 0 },
} as const;

export interface LoadOptions {
  readonly dtype: StorageDtype;
  /** false: every epilogue as a launch of its own. */
  readonly fused?: boolean;
  /** Kernels for this adapter (default), for any CPU rasteriser, or for GPUs, whatever adapter runs them. */
  readonly kernels?: keyof typeof kernelSets;
  /** Pretends that the adapter binds no more: long tables are cut. */
  readonly bindingBytes?: number;
  /** The tokens that a causal LM is scored by. */
  readonly scoring?: ScoringTokens;
  readonly sharePrefix?: boolean;
  /** Reads intermediates too. */
  readonly taps?: boolean;
}

export interface GoldenModel {
  readonly tables: number;
  /** Tokens that a batch of these sequences pushes through the layers. */
  tokensOf(sequences: readonly Int32Array[]): number;
  /** Runs one batch. @returns per output (tap names and `logits`) each sequence's rows */
  run(sequences: readonly Int32Array[], positions?: readonly Uint32Array[]): Promise<Record<string, Float32Array[]>>;
  /** For models that see. */
  readonly visual?: GoldenVision;
  close(): void;
}

export interface GoldenVision {
  readonly vision: VisionModel;
  /** The vision tower alone. @returns per tap name all rows */
  see(frames: readonly FramePair[]): Promise<Record<string, Float32Array>>;
  /** Runs one batch of pairs, as the engine does. */
  run(pairs: readonly EnginePair[]): Promise<Record<string, Float32Array[]>>;
  /** Tokens that a batch of these pairs pushes through the layers. */
  tokensOf(pairs: readonly EnginePair[]): number;
  /** Frame pairs that the tower has encoded for `run` so far. */
  encoded(): number;
}

/** What the fixtures' preprocessor files say: 0.5 of 0 … 1. */
const halves = { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] } as const;

/** Room of the golden models: tokens of a batch, and patches of a run of the vision tower. */
const [batchTokens, visionPatches] = [2048, 256];

/** A fixture model, loaded as the engine loads it but with its intermediates kept. */
export async function loadGoldenModel(dir: string, options: LoadOptions): Promise<GoldenModel> {
  const { gpu, pipelines } = await testGpu();
  const checkpoint = await openCheckpoint(dir);
  const config = await readConfig(dir);
  const model = findFamily(config).fromConfig!(config, options);
  const net = new Net(new Graph(), kernelSets[options.kernels ?? 'own'] ?? gpu.traits, options.fused ?? true);
  const binding = options.bindingBytes ?? gpu.limits.maxStorageBufferBindingSize;
  const vision = { rows: batchTokens, patches: visionPatches, pixels: halves };
  const context = { maxTokens: model.maxTokens, vision, ...(options.scoring && { scoring: options.scoring }) };
  const recording = model.record(net, Weights.of(checkpoint, options.dtype, binding), context);
  const names = ['logits', ...(options.taps ? Object.keys(recording.taps) : [])];
  for (const name of names) net.graph.output(recording.taps[name] ?? recording.logits);
  const buffers = await allocateWeights(gpu, recording.uploads);
  await uploadWeights(gpu, checkpoint, recording.uploads, buffers);
  await checkpoint.close();
  const capacity = model.capacity(batchTokens, 64, net.tileRows);
  const plan = await Plan.make(gpu, pipelines, net.graph, capacity, (tensor) => buffers.get(tensor)!);
  plan.poison();
  const run = async (sequences: readonly Int32Array[], positions?: readonly Uint32Array[]) => {
    const { sizes, inputs } = model.batch(sequences, net.tileRows, positions);
    const outputs = await plan.run(sizes, inputs);
    return Object.fromEntries(
      names.map((name, i) => {
        const [rows, width = 1] = (recording.taps[name] ?? recording.logits).shape as [string, number?];
        let at = 0;
        const perSequence = sequences.map((ids) =>
          outputs[i]!.subarray(at, (at += (rows === 'T' ? ids.length : 1) * width)),
        );
        return [name, perSequence];
      }),
    );
  };
  const tower = recording.vision && (await makeTower(recording.vision));
  return {
    ...(tower && { visual: tower.visual }),
    tables: recording.uploads.filter(({ tensor }) => /(word|position)_embeddings/.test(tensor.name)).length,
    tokensOf: (sequences) => model.batch(sequences, net.tileRows).sizes['T']!,
    run,
    close() {
      tower?.plan.destroy();
      plan.destroy();
      for (const buffer of buffers.values()) gpu.destroyBuffer(buffer);
    },
  };

  async function makeTower(seen: VisionRecording) {
    const vision = model.vision!;
    const tapNames = options.taps ? Object.keys(seen.taps) : [];
    for (const name of tapNames) seen.graph.output(seen.taps[name]!);
    const outputs = seen.graph.outputs.length - tapNames.length;
    const capacity = vision.capacity(visionPatches, net.tileRows);
    const tower = await Plan.make(gpu, pipelines, seen.graph, capacity, (tensor) => buffers.get(tensor)!);
    tower.poison();
    const parts = { vision, recording: seen, tower, main: plan, tileRows: net.tileRows };
    const store = new VisualStore({ ...parts, rows: batchTokens, patches: visionPatches });
    const pairs = new VisualPairs(vision, visionPatches);
    const visual: GoldenVision = {
      vision,
      encoded: () => store.encoded,
      tokensOf: (list) =>
        model.batch(
          list.map((pair) => pairs.sequence(pair).ids),
          net.tileRows,
        ).sizes['T']!,
      async see(frames) {
        const { sizes, inputs } = vision.batch(frames, net.tileRows);
        const rows = await tower.run(sizes, inputs);
        return Object.fromEntries(tapNames.map((name, i) => [name, rows[outputs + i]!]));
      },
      async run(list) {
        const sequences = list.map((pair) => pairs.sequence(pair));
        const result = await run(
          placeVisuals(sequences, store),
          sequences.map(({ positions }) => positions!),
        );
        for (const sequence of sequences) pairs.release(sequence);
        return result;
      },
    };
    return { plan: tower, visual };
  }
}

type Golden = readonly [string, Float32Array | Int32Array | Uint8Array];

/** The oracle's tensors of one fixture. */
export function readGoldens(dir: string): Map<string, Float32Array | Int32Array | Uint8Array> {
  const file = new Uint8Array(readFileSync(`${dir}/goldens.safetensors`));
  const headerBytes = readHeaderLength(file.subarray(0, preambleBytes), file.length, dir);
  const { tensors, dataBegin } = parseSafetensors(file.subarray(8, 8 + headerBytes), file.length, dir);
  const entries = [...tensors.values()].map(({ name, dtype, begin, byteLength }): Golden => {
    const bytes = file.slice(dataBegin + begin, dataBegin + begin + byteLength).buffer;
    if (dtype === 'U8') return [name, new Uint8Array(bytes)] as const;
    return [name, dtype === 'I32' ? new Int32Array(bytes) : new Float32Array(bytes)] as const;
  });
  return new Map(entries);
}
