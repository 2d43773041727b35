import { setImmediate as turn } from 'node:timers/promises';
import { Gpu } from '../../src/gpu/gpu.ts';
import type { HostArray, Plan } from '../../src/graph/plan.ts';
import type { EncodedMedia } from '../../src/media/encoded-media.ts';
import type { Model } from '../../src/models/model.ts';
import { layOutBatch } from '../../src/nn/ragged-batch.ts';
import { TokenMeter } from '../../src/nn/token-meter.ts';
import type { EngineInfo, EnginePair } from '../../src/rerank/engine.ts';
import { GpuEngine } from '../../src/rerank/gpu-engine.ts';
import type { VisualPairs } from '../../src/rerank/visual-pairs.ts';
import type { VisualStore } from '../../src/rerank/visual-store.ts';
import type { Sizes } from '../../src/tensor/tensor.ts';
import type { EncodedPair } from '../../src/text/encoded-pair.ts';
import { fakeInfo } from '../support/fake-engine.ts';

export const pair = (...ids: number[]): EncodedPair => ({ ids: Int32Array.from(ids), truncatedTokens: 0 });
export const seeing = (ids: readonly number[], ...media: EncodedMedia[]): EnginePair => ({ ...pair(...ids), media });

/** The id that makes a logit NaN. */
export const spoiler = 99;
export const logitOf = (ids: readonly number[]) =>
  ids.includes(spoiler) ? Number.NaN : ids.reduce((a, b) => a + b, 0);

interface Run {
  /** Ids of each sequence. */
  readonly sequences: number[][];
  answer(): void;
  fail(reason: Error): void;
}

/** An engine whose plan answers when a test says so, on a device that is lost when a test says so. */
export function setUp(
  info: Partial<EngineInfo> = {},
  maxBatchPairs = 8,
  visual?: { readonly pairs: VisualPairs; readonly store: VisualStore },
) {
  const runs: Run[] = [];
  const plan: Pick<Plan, 'run'> = {
    run: (_: Sizes, inputs: Readonly<Record<string, HostArray>>) =>
      new Promise((resolve, reject) => {
        const [ids, starts] = [[...inputs['ids']!], [...inputs['scored']!]];
        const sequences = starts.map((start, s) => ids.slice(start, starts[s + 1]));
        runs.push({ sequences, fail: reject, answer: () => resolve([Float32Array.from(sequences, logitOf)]) });
      }),
  };
  const positionsOf: (readonly Uint32Array[] | undefined)[] = [];
  const model: Pick<Model, 'vocabularySize' | 'batch' | 'meter'> = {
    vocabularySize: 100,
    meter: () => new TokenMeter(false),
    batch: (sequences, tileRows, positions) => {
      positionsOf.push(positions);
      return layOutBatch(sequences, 2, () => 0, tileRows);
    },
  };
  let lose!: (info: Pick<GPUDeviceLostInfo, 'reason' | 'message'>) => void;
  const lost = new Promise<Pick<GPUDeviceLostInfo, 'reason' | 'message'>>((resolve) => (lose = resolve));
  const device = { lost, addEventListener: () => undefined, destroy: () => lose({ reason: 'destroyed', message: '' }) };
  const traits = { adapter: 'none', software: true, f16: false, subgroupSize: 0, timestamps: false };
  const engine = new GpuEngine({
    gpu: new Gpu(device as unknown as GPUDevice, traits),
    plan: plan as Plan,
    model: model as Model,
    info: { ...fakeInfo, maxTokens: 8, maxBatchTokens: 10, ...info },
    maxBatchPairs,
    capacityTokens: 10,
    tileRows: 16,
    ...(visual && { visual }),
  });
  const batches = () => runs.map(({ sequences }) => sequences.map(logitOf));
  return { engine, runs, batches, positionsOf, lose: () => lose({ reason: 'unknown', message: 'the driver crashed' }) };
}

/** Long enough for an answer to start the next batch. */
export async function turns(): Promise<void> {
  await turn();
  await turn();
}

/** How a call ended, without waiting for it. */
export async function outcomeOf(call: Promise<Float32Array>): Promise<number[] | string> {
  const settled = call
    .then((logits) => [...logits])
    .catch((reason: { code?: string }) => String(reason.code ?? reason));
  return Promise.race([settled, turns().then(() => 'pending')]);
}
