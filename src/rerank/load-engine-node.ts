import { openCheckpoint } from '../checkpoint/open-checkpoint-node.ts';
import { allocateWeights, uploadWeights } from '../checkpoint/upload.ts';
import { storedDtype } from '../checkpoint/weights.ts';
import { WgrankError } from '../errors.ts';
import { openGpu } from '../gpu/dawn-node.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { PipelineCache } from '../gpu/pipelines.ts';
import { readShaderFile } from '../gpu/shader-files-node.ts';
import { Plan } from '../graph/plan.ts';
import type { VisionModel, VisionRecording } from '../models/model.ts';
import { touchPages } from '../ops/touch-pages.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { longestPair, type Engine, type EngineOptions } from './engine.ts';
import { GpuEngine } from './gpu-engine.ts';
import { planModel, type BatchLimits } from './plan-model.ts';
import { adapterFacts, readModel } from './read-model-node.ts';
import { VisualPairs } from './visual-pairs.ts';
import { VisualStore, type VisualStoreParts } from './visual-store.ts';

/**
 * Loads a model folder onto the best adapter: records the graph, measures it, refuses it with numbers or allocates
 * everything, then streams the weights while the kernels compile.
 * @throws WgrankError whatever the folder, the configuration or the adapter does not allow, by name
 */
export async function loadEngine(options: EngineOptions): Promise<Engine> {
  const read = await readModel(options);
  const { model, kind, architecture } = read;
  const checkpoint = await openCheckpoint(options.modelDir);
  let gpu: Gpu | undefined;
  try {
    const opened = await openGpu();
    gpu = opened.gpu;
    const stored = storedDtype(checkpoint);
    const { tensors } = checkpoint;
    const maxLength = longestPair(kind, model.maxTokens, options.maxLength);
    const request = { ...read, tensors, stored, adapter: adapterFacts(gpu), options: { ...options, maxLength } };
    const planned = planModel(request);
    const { storage, limits, uploads } = planned;
    if (planned.misfits.length > 0) {
      throw new WgrankError('out-of-memory', 'load', `${options.modelDir} does not fit: ${planned.misfits.join('; ')}`);
    }
    const buffers = await allocateWeights(gpu, uploads);
    const pipelines = new PipelineCache(gpu, readShaderFile);
    const device = gpu;
    const makeReady = (coming: readonly GPUBuffer[]) => touchPages(device, pipelines, coming);
    const weights = (tensor: Tensor) => buffers.get(tensor)!;
    const { vision } = planned;
    const makePlans = async () => ({
      plan: await Plan.make(device, pipelines, planned.graph, planned.capacity, weights),
      tower: vision && (await Plan.make(device, pipelines, vision.graph, vision.capacity, weights)),
    });
    const [{ plan, tower }, report] = await both(
      makePlans(),
      uploadWeights(gpu, checkpoint, uploads, buffers, gpu.traits.software ? makeReady : undefined),
    );
    if (report.overflow > 0) {
      throw new WgrankError(
        'numeric-range',
        'load',
        `${report.overflow} weights exceed the range of ${storage} (use --dtype float32 or bfloat16)`,
      );
    }
    const warnings = [...opened.warnings, ...model.warnings, ...limits.warnings];
    if (report.inexact > 0) {
      const tiny = report.underflow > 0 ? `, ${report.underflow} of them below its normal range` : '';
      warnings.push(`${report.inexact} weights were rounded to ${storage}${tiny} (the checkpoint holds others too)`);
    }
    const info = {
      model: options.model ?? options.modelDir,
      kind,
      architecture,
      dtype: storage,
      adapter: gpu.traits.adapter,
      software: gpu.traits.software,
      activation: model.activation,
      ...(read.scoring && { scoringTokens: read.scoring }),
      maxTokens: limits.maxTokens,
      maxBatchTokens: limits.batchTokens,
      warnings,
    };
    const { batchPairs: maxBatchPairs, capacityTokens } = limits;
    const { tileRows } = planned;
    const visual = tower && makeVisual(model.vision!, vision!, { tower, main: plan, tileRows }, limits);
    return new GpuEngine({
      gpu,
      plan,
      model,
      info,
      maxBatchPairs,
      capacityTokens,
      tileRows,
      ...(visual && { visual }),
    });
  } catch (reason) {
    gpu?.destroy();
    throw reason;
  } finally {
    await checkpoint.close();
  }
}

function makeVisual(
  vision: VisionModel,
  recording: VisionRecording,
  plans: Pick<VisualStoreParts, 'tower' | 'main' | 'tileRows'>,
  { capacityTokens: rows, visionPatches: patches }: BatchLimits,
) {
  const store = new VisualStore({ ...plans, vision, recording, rows, patches });
  return { pairs: new VisualPairs(vision, patches), store };
}

/** Both results; when one fails, waits for the other too, so that nothing is left running. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}
