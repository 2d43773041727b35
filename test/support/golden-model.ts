import { readFileSync } from 'node:fs';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { parseSafetensors, preambleBytes, readHeaderLength } from '../../src/checkpoint/safetensors.ts';
import { allocateWeights, uploadWeights } from '../../src/checkpoint/upload.ts';
import { Weights, type StorageDtype } from '../../src/checkpoint/weights.ts';
import { Graph } from '../../src/graph/graph.ts';
import { Plan } from '../../src/graph/plan.ts';
import type { ScoringTokens } from '../../src/models/model.ts';
import { findFamily } from '../../src/models/registry.ts';
import { Net } from '../../src/nn/net.ts';
import { readConfig } from '../../src/rerank/describe-model-node.ts';
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
  run(sequences: readonly Int32Array[]): Promise<Record<string, Float32Array[]>>;
  close(): void;
}

/** A fixture model, loaded as the engine loads it but with its intermediates kept. */
export async function loadGoldenModel(dir: string, options: LoadOptions): Promise<GoldenModel> {
  const { gpu, pipelines } = await testGpu();
  const checkpoint = await openCheckpoint(dir);
  const config = await readConfig(dir);
  const model = findFamily(config).fromConfig!(config, options);
  const net = new Net(new Graph(), kernelSets[options.kernels ?? 'own'] ?? gpu.traits, options.fused ?? true);
  const binding = options.bindingBytes ?? gpu.limits.maxStorageBufferBindingSize;
  const context = { maxTokens: model.maxTokens, ...(options.scoring && { scoring: options.scoring }) };
  const recording = model.record(net, Weights.of(checkpoint, options.dtype, binding), context);
  const names = ['logits', ...(options.taps ? Object.keys(recording.taps) : [])];
  for (const name of names) net.graph.output(recording.taps[name] ?? recording.logits);
  const buffers = await allocateWeights(gpu, recording.uploads);
  await uploadWeights(gpu, checkpoint, recording.uploads, buffers);
  await checkpoint.close();
  const capacity = model.capacity(2048, 64, net.tileRows);
  const plan = await Plan.make(gpu, pipelines, net.graph, capacity, (tensor) => buffers.get(tensor)!);
  plan.poison();
  return {
    tables: recording.uploads.filter(({ tensor }) => /(word|position)_embeddings/.test(tensor.name)).length,
    tokensOf: (sequences) => model.batch(sequences, net.tileRows).sizes['T']!,
    async run(sequences) {
      const { sizes, inputs } = model.batch(sequences, net.tileRows);
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
    },
    close() {
      plan.destroy();
      for (const buffer of buffers.values()) gpu.destroyBuffer(buffer);
    },
  };
}

/** The oracle's tensors of one fixture. */
export function readGoldens(dir: string): Map<string, Float32Array | Int32Array> {
  const file = new Uint8Array(readFileSync(`${dir}/goldens.safetensors`));
  const headerBytes = readHeaderLength(file.subarray(0, preambleBytes), file.length, dir);
  const { tensors, dataBegin } = parseSafetensors(file.subarray(8, 8 + headerBytes), file.length, dir);
  const entries = [...tensors.values()].map(({ name, dtype, begin, byteLength }) => {
    const bytes = file.slice(dataBegin + begin, dataBegin + begin + byteLength).buffer;
    return [name, dtype === 'I32' ? new Int32Array(bytes) : new Float32Array(bytes)] as const;
  });
  return new Map(entries);
}
