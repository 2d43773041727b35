import os from 'node:os';
import { openCheckpoint } from '../checkpoint/open-checkpoint-node.ts';
import { allocateWeights, uploadBytes, uploadWeights } from '../checkpoint/upload.ts';
import { storedDtype, Weights } from '../checkpoint/weights.ts';
import { WgrankError } from '../errors.ts';
import { openGpu } from '../gpu/dawn-node.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { PipelineCache } from '../gpu/pipelines.ts';
import { readShaderFile } from '../gpu/shader-files-node.ts';
import { Graph } from '../graph/graph.ts';
import { Plan } from '../graph/plan.ts';
import type { Model } from '../models/model.ts';
import { findFamily, unsupported } from '../models/registry.ts';
import { Net } from '../nn/net.ts';
import { readConfig } from './describe-model-node.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { GpuEngine } from './gpu-engine.ts';
import { readScoringTokens } from './scoring-tokens-node.ts';

/** Tokens of a batch where the operator names no number: GPUs want many, a CPU rasteriser gains nothing beyond a few. */
const defaultBatchTokens = { hardware: 16_384, software: 1024 };
/** Pairs of a batch at the most: bounds the buffers that grow with sequences. */
const maxBatchPairs = 1024;

/**
 * Loads a model folder onto the best adapter: records the graph, measures it, refuses it with numbers or allocates
 * everything, then streams the weights while the kernels compile.
 * @throws WgrankError whatever the folder, the configuration or the adapter does not allow, by name
 */
export async function loadEngine(options: EngineOptions): Promise<Engine> {
  const config = await readConfig(options.modelDir);
  const { kind, architecture, fromConfig } = findFamily(config);
  if (!fromConfig) throw unsupported(architecture);
  const model = fromConfig(config, options);
  const scoring = model.scoredByTokens ? await readScoringTokens(options.modelDir, architecture) : undefined;
  const [opened, checkpoint] = await both(openGpu(), openCheckpoint(options.modelDir));
  const { gpu } = opened;
  try {
    const storage = !options.dtype || options.dtype === 'auto' ? storedDtype(checkpoint) : options.dtype;
    const limits = batchLimits(options, model, gpu);
    const net = new Net(new Graph(), gpu.traits);
    const weights = Weights.of(checkpoint, storage, gpu.limits.maxStorageBufferBindingSize);
    const recording = model.record(net, weights, { maxTokens: limits.maxTokens, ...(scoring && { scoring }) });
    net.graph.output(recording.logits);
    const weightBytes = recording.uploads.reduce((sum, upload) => sum + uploadBytes(upload), 0);
    refuseTooLarge(gpu, weightBytes, options.modelDir);
    const buffers = await allocateWeights(gpu, recording.uploads);
    const pipelines = new PipelineCache(gpu, readShaderFile);
    const capacity = model.capacity(limits.capacityTokens, maxBatchPairs, net.tileRows);
    const [plan, report] = await both(
      Plan.make(gpu, pipelines, net.graph, capacity, (tensor) => buffers.get(tensor)!),
      uploadWeights(gpu, checkpoint, recording.uploads, buffers),
    );
    if (report.overflow > 0) {
      throw new WgrankError(
        'numeric-range',
        'load',
        `${report.overflow} weights exceed the range of ${storage} (use --dtype float32 or bfloat16)`,
      );
    }
    const warnings = [...opened.warnings, ...model.warnings, ...limits.warnings];
    if (report.underflow > 0)
      warnings.push(`${report.underflow} weights below the normal range of ${storage} were rounded`);
    const info = {
      model: options.model ?? options.modelDir,
      kind,
      architecture,
      dtype: storage,
      adapter: gpu.traits.adapter,
      software: gpu.traits.software,
      activation: model.activation,
      maxTokens: limits.maxTokens,
      maxBatchTokens: limits.batchTokens,
      warnings,
    };
    return new GpuEngine({ gpu, plan, model, info, maxBatchPairs, tileRows: net.tileRows });
  } catch (reason) {
    gpu.destroy();
    throw reason;
  } finally {
    await checkpoint.close();
  }
}

interface BatchLimits {
  readonly maxTokens: number;
  /** Tokens at which a batch is full. */
  readonly batchTokens: number;
  /** Tokens that the buffers hold: a batch, or the longest pair when that is more. */
  readonly capacityTokens: number;
  readonly warnings: readonly string[];
}

/** Fits the longest pair and the batch to the adapter's bindings. */
function batchLimits(options: EngineOptions, model: Model, gpu: Gpu): BatchLimits {
  const warnings: string[] = [];
  const bindable = Math.floor(gpu.limits.maxStorageBufferBindingSize / model.widestRowBytes);
  const asked = options.maxLength ?? model.maxTokens;
  if (asked > model.maxTokens) {
    throw new WgrankError(
      'launch-refused',
      'load',
      `--max-length is ${asked} (the model reads at most ${model.maxTokens} tokens)`,
    );
  }
  const maxTokens = Math.min(asked, bindable);
  if (maxTokens < asked)
    warnings.push(`pairs are cut to ${maxTokens} tokens instead of ${asked}: the adapter binds no more at once`);
  const wanted = options.maxBatchTokens ?? defaultBatchTokens[gpu.traits.software ? 'software' : 'hardware'];
  const batchTokens = Math.min(wanted, bindable);
  return { maxTokens, batchTokens, capacityTokens: Math.max(batchTokens, maxTokens), warnings };
}

/** WebGPU does not tell how much memory an adapter has; a software adapter's is the machine's, and that is known. */
function refuseTooLarge(gpu: Gpu, bytes: number, modelDir: string): void {
  if (!gpu.traits.software || bytes < os.totalmem()) return;
  const gib = (value: number) => `${(value / 2 ** 30).toFixed(1)} GiB`;
  throw new WgrankError(
    'out-of-memory',
    'load',
    `${modelDir} needs ${gib(bytes)} for weights (this machine has ${gib(os.totalmem())})`,
  );
}

/** Both results; when one fails, waits for the other too, so that nothing is left running. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}
