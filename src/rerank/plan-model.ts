import { uploadBytes } from '../checkpoint/upload.ts';
import { Weights, type StorageDtype, type TensorIndex, type WeightUpload } from '../checkpoint/weights.ts';
import { WgrankError } from '../errors.ts';
import type { KernelTraits } from '../gpu/gpu.ts';
import { StagingRing } from '../gpu/staging.ts';
import { Graph } from '../graph/graph.ts';
import { capacityBytes, layOut } from '../graph/layout.ts';
import type { Model, PixelNorm, ScoringTokens, VisionModel, VisionRecording } from '../models/model.ts';
import { Net } from '../nn/net.ts';
import { describe, type Sizes, type Tensor } from '../tensor/tensor.ts';
import type { EngineOptions } from './engine.ts';

/** Tokens of a batch where the operator names no number: GPUs want many, a CPU rasteriser gains nothing beyond a few. */
const defaultBatchTokens = { hardware: 16_384, software: 1024 };
/**
 * Patches that go through the vision tower at a time, unless the largest picture has more: room for a frame pair of 4K, or for what
 * is small; frames of clips may be larger than pictures.
 */
const defaultVisionPatches = { hardware: 32_768, software: 8192 };
/** Pairs of a batch at the most: bounds the buffers that grow with sequences. */
const mostBatchPairs = 1024;
/** A pair is a query and a document between special tokens: with fewer tokens there is nothing left of either. */
const fewestTokens = 16;

/** What a plan depends on of an adapter. */
export interface AdapterFacts {
  readonly traits: KernelTraits;
  /** Largest binding and largest buffer, bytes. */
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  /** Bytes of memory, where that is known: WebGPU does not tell, but a software adapter's is the machine's. */
  readonly memoryBytes?: number;
}

export interface PlanRequest {
  readonly model: Model;
  readonly tensors: TensorIndex;
  /** What most of the checkpoint is stored as. */
  readonly stored: StorageDtype;
  readonly scoring?: ScoringTokens;
  /** For models that see: how pixels are normalised, and how many the largest picture has. */
  readonly media?: { readonly pixels: PixelNorm; readonly imagePixels: number };
  readonly adapter: AdapterFacts;
  readonly options: Pick<EngineOptions, 'dtype' | 'maxLength' | 'maxBatchTokens'>;
}

export interface BatchLimits {
  readonly maxTokens: number;
  /** Tokens at which a batch is full, and its pairs at the most. */
  readonly batchTokens: number;
  readonly batchPairs: number;
  /** Tokens that the buffers hold: a batch, or the longest pair when that is more. */
  readonly capacityTokens: number;
  /** Patches of a run of the vision tower, 0 for models that do not see. */
  readonly visionPatches: number;
  readonly warnings: readonly string[];
}

/** Something with a size, by the name that messages call it. */
export interface Sized {
  readonly name: string;
  readonly bytes: number;
}

/** A model recorded for an adapter and measured, before anything is allocated or read. */
export interface ModelPlan {
  readonly storage: StorageDtype;
  readonly graph: Graph;
  readonly tileRows: number;
  readonly uploads: readonly WeightUpload[];
  readonly limits: BatchLimits;
  readonly capacity: Sizes;
  readonly vision?: VisionRecording & { readonly capacity: Sizes };
  /**
   * Bytes on the GPU: `stores` keeps what pictures became; `staging` is only there while weights are loaded, the others for as
   * long as the engine lives.
   */
  readonly bytes: {
    readonly weights: number;
    readonly arenas: number;
    readonly inputs: number;
    readonly stores: number;
    readonly staging: number;
  };
  readonly arenas: readonly number[];
  readonly largestBinding: Sized;
  readonly largestBuffer: Sized;
  /** Why the adapter cannot hold it, with the option that would help; empty when it can. */
  readonly misfits: readonly string[];
}

/**
 * Records the model, fits the batch to the adapter and lays out the memory: what `loadEngine` then allocates and `wgrank
 * inspect` prints.
 * @throws WgrankError `launch-refused`, `tensor-missing`, `tensor-shape`, `tensor-unexpected`, `config-invalid`; `out-of-memory`
 *   when the adapter cannot bind even a few tokens. A model that is too large does not throw: see `misfits`
 */
export function planModel(request: PlanRequest): ModelPlan {
  const { model, adapter, options, scoring } = request;
  const storage = !options.dtype || options.dtype === 'auto' ? request.stored : options.dtype;
  const limits = batchLimits(request);
  const net = new Net(new Graph(), adapter.traits);
  const weights = Weights.of(request, storage, adapter.bindingBytes);
  const { logits, uploads, vision } = model.record(net, weights, {
    maxTokens: limits.maxTokens,
    ...(scoring && { scoring }),
    ...(request.media && {
      vision: { rows: limits.capacityTokens, patches: limits.visionPatches, pixels: request.media.pixels },
    }),
  });
  net.graph.output(logits);
  const capacity = model.capacity(limits.capacityTokens, limits.batchPairs, net.tileRows);
  const tower = vision && { ...vision, capacity: model.vision!.capacity(limits.visionPatches, net.tileRows) };
  const graphs = [{ graph: net.graph, capacity }, ...(tower ? [tower] : [])];
  const layouts = graphs.map((one) =>
    layOut(one.graph, one.capacity, { buffer: adapter.bufferBytes, binding: adapter.bindingBytes }),
  );
  const arenas = layouts.flatMap((layout) => layout.arenas);
  const bytesOf = (select: (graph: Graph) => readonly Tensor[]) =>
    graphs.flatMap((one) =>
      select(one.graph).map((tensor) => ({ tensor, bytes: capacityBytes(tensor, one.capacity) })),
    );
  const ofWeights = uploads.map((upload) => ({ tensor: upload.tensor, bytes: uploadBytes(upload) }));
  const [ofInputs, ofStores] = [bytesOf((graph) => graph.inputs), bytesOf((graph) => graph.stores)];
  const own = [...ofWeights, ...ofInputs, ...ofStores].map(({ tensor, bytes }) => ({ name: nameOf(tensor), bytes }));
  // The names of intermediates tell how they came about, back to the ids.
  const placed = layouts.flatMap(({ places }) =>
    [...places].map(([tensor, { bytes }]) => ({ name: `activations ${describe(tensor)}`, bytes })),
  );
  const plan = {
    storage,
    graph: net.graph,
    tileRows: net.tileRows,
    uploads,
    limits,
    capacity,
    ...(tower && { vision: tower }),
    bytes: {
      weights: sum(ofWeights),
      arenas: arenas.reduce((total, bytes) => total + bytes, 0),
      inputs: sum(ofInputs),
      stores: sum(ofStores),
      staging: StagingRing.bytes,
    },
    arenas,
    largestBinding: largest([...own, ...placed]),
    largestBuffer: largest([...own, ...arenas.map((bytes, i) => ({ name: `arena ${i}`, bytes }))]),
  };
  return { ...plan, misfits: findMisfits(plan, own, request) };
}

/** Bytes that the GPU holds at once while the model is loaded, when it needs most. */
export function peakBytes({ weights, arenas, inputs, stores, staging }: ModelPlan['bytes']): number {
  return weights + arenas + inputs + stores + staging;
}

/** Patches of a run of the vision tower: the largest picture's or more, as far as the adapter binds them. */
function fitVision(vision: VisionModel, request: PlanRequest, warnings: string[]): number {
  const { adapter, media } = request;
  const perToken = vision.mergeSize ** 2;
  const whole = (patches: number) => Math.floor(patches / perToken) * perToken;
  const pixels = vision.patchSize ** 2;
  const allowed = media?.imagePixels ?? 0;
  const largestPicture = whole(Math.ceil(allowed / pixels));
  const wanted = Math.max(largestPicture, defaultVisionPatches[adapter.traits.software ? 'software' : 'hardware']);
  const patches = whole(Math.min(wanted, Math.floor(adapter.bindingBytes / vision.widestRowBytes)));
  if (patches < largestPicture)
    warnings.push(
      `pictures of more than ${patches * pixels} pixels are refused, though the checkpoint allows ${allowed}: the adapter ` +
        'binds no more at once',
    );
  return patches;
}

/** Fits the longest pair and the batch to the adapter's bindings. */
function batchLimits(request: PlanRequest): BatchLimits {
  const { options, model, adapter } = request;
  const warnings: string[] = [];
  const bindable = Math.floor(adapter.bindingBytes / model.widestRowBytes);
  if (bindable < fewestTokens) {
    throw new WgrankError(
      'out-of-memory',
      'load',
      `a token's activations take ${model.widestRowBytes} bytes (the adapter binds at most ${adapter.bindingBytes}: ` +
        `${bindable} tokens, and a pair needs ${fewestTokens})`,
    );
  }
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
  const wanted = options.maxBatchTokens ?? defaultBatchTokens[adapter.traits.software ? 'software' : 'hardware'];
  const batchTokens = Math.min(wanted, bindable);
  const capacityTokens = Math.max(batchTokens, maxTokens);
  // Every pair has a token of its own, so a batch of few tokens has few pairs.
  const batchPairs = Math.min(mostBatchPairs, capacityTokens);
  const visionPatches = model.vision ? fitVision(model.vision, request, warnings) : 0;
  return { maxTokens, batchTokens, batchPairs, capacityTokens, visionPatches, warnings };
}

/** Weights beyond a binding, and more than there is memory. Activations are within a binding by `batchLimits`. */
function findMisfits(plan: Omit<ModelPlan, 'misfits'>, own: readonly Sized[], request: PlanRequest): string[] {
  const { bindingBytes, bufferBytes, memoryBytes } = request.adapter;
  const misfits: string[] = [];
  const most = Math.min(bindingBytes, bufferBytes);
  const tooLarge = own.filter(({ bytes }) => bytes > most);
  const [first] = tooLarge;
  if (first) {
    const others = tooLarge.length > 1 ? `, and ${tooLarge.length - 1} more like it are too large` : '';
    const smaller = withSixteenBits(plan, request);
    const help =
      smaller && smaller.plan.largestBinding.bytes <= most
        ? `with ${smaller.option} they fit`
        : 'no option makes it fit: this model needs an adapter with larger bindings, such as a GPU';
    misfits.push(`${first.name} needs ${first.bytes} bytes${others} (the adapter binds at most ${most}; ${help})`);
  }
  const needed = peakBytes(plan.bytes);
  if (memoryBytes !== undefined && needed > memoryBytes) {
    const { weights, arenas, stores } = plan.bytes;
    const ofPictures = stores > 0 ? `, ${gib(stores)} for what pictures become` : '';
    const parts = `${gib(weights)} for weights as ${plan.storage}, ${gib(arenas)} for activations of ${plan.limits.capacityTokens} tokens${ofPictures}`;
    misfits.push(
      `it needs ${gib(needed)} of memory: ${parts} (there are ${gib(memoryBytes)}; ${helpMemory(plan, request, memoryBytes)})`,
    );
  }
  return misfits;
}

function helpMemory(plan: Omit<ModelPlan, 'misfits'>, request: PlanRequest, memoryBytes: number): string {
  const smaller = withSixteenBits(plan, request);
  if (smaller && peakBytes(smaller.plan.bytes) <= memoryBytes)
    return `with ${smaller.option} it needs ${gib(peakBytes(smaller.plan.bytes))}`;
  if (plan.bytes.weights + plan.bytes.staging < memoryBytes) return 'lower --max-length and --max-batch-tokens';
  return 'no option makes it fit: use a smaller model';
}

/** The same model with weights of half the size, unless they are that already. */
function withSixteenBits({ storage }: Pick<ModelPlan, 'storage'>, request: PlanRequest) {
  if (storage !== 'f32') return undefined;
  const dtype = request.stored === 'f32' ? 'bf16' : request.stored;
  const option = `--dtype ${dtype === 'bf16' ? 'bfloat16' : 'float16'}`;
  return { option, plan: planModel({ ...request, options: { ...request.options, dtype } }) };
}

const nameOf = (tensor: Tensor) => `${tensor.name} ${describe(tensor)}`;
const sum = (list: readonly { readonly bytes: number }[]) => list.reduce((total, { bytes }) => total + bytes, 0);
const largest = (list: readonly Sized[]) => list.reduce((most, one) => (one.bytes > most.bytes ? one : most));

/** Bytes as messages write memory. */
export function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
