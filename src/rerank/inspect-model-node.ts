import type { Checkpoint, TensorInfo } from '../checkpoint/checkpoint.ts';
import { ConfigReader } from '../checkpoint/config.ts';
import { storageName } from '../checkpoint/convert.ts';
import { ExpectedTensors } from '../checkpoint/expected-tensors.ts';
import type { JsonValue } from '../checkpoint/json-value.ts';
import { openCheckpoint } from '../checkpoint/open-checkpoint-node.ts';
import { storedDtype, type StorageDtype, type TensorIndex, type WeightUpload } from '../checkpoint/weights.ts';
import { WgrankError } from '../errors.ts';
import { openGpu } from '../gpu/dawn-node.ts';
import type { ModelDimensions, ScoringTokens } from '../models/model.ts';
import { longestPair, type EngineOptions, type ModelKind } from './engine.ts';
import { planModel, type AdapterFacts, type ModelPlan, type Sized } from './plan-model.ts';
import { adapterFacts, readModel } from './read-model-node.ts';

export interface InspectOptions extends EngineOptions {
  /** Plans for a GPU that binds this much, instead of the adapter found here. */
  readonly bindingBytes?: number;
}

/** What a model folder is, and what it needs. */
export interface ModelInspection {
  readonly model: string;
  readonly architecture: string;
  readonly kind: ModelKind;
  readonly dimensions: ModelDimensions & { readonly vocabulary: number };
  readonly scoring?: ScoringTokens;
  readonly tensors: number;
  readonly parameters: number;
  readonly stored: { readonly dtype: StorageDtype; readonly bytes: number };
  readonly adapter: { readonly name: string } & Omit<AdapterFacts, 'traits'>;
  readonly tokens: { readonly pair: number; readonly batch: number; readonly batchPairs: number };
  readonly gpu: {
    readonly dtype: StorageDtype;
    readonly arenas: number;
    readonly bytes: ModelPlan['bytes'] & { readonly total: number };
  };
  readonly largestBinding: Sized;
  readonly largestBuffer: Sized;
  /** Tables that are longer than a binding. */
  readonly cut: readonly { readonly name: string; readonly parts: number }[];
  /** Why the adapter cannot hold it; empty when it can. */
  readonly misfits: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Plans a model as `loadEngine` does, without reading weights; without a GPU where limits are given or none is found, and from
 * config.json alone where the weights are missing.
 * @throws WgrankError whatever `loadEngine` would refuse about the folder or the options; a model too large for the adapter is
 *   no error but listed in `misfits`
 */
export async function inspectModel(options: InspectOptions): Promise<ModelInspection> {
  const read = await readModel(options);
  const { model, kind, architecture, config, scoring } = read;
  const weights = await findWeights(options.modelDir, config);
  const adapter = await findAdapter(options.bindingBytes);
  const maxLength = longestPair(kind, model.maxTokens, options.maxLength);
  const { tensors, stored } = weights;
  const plan = planModel({ ...read, tensors, stored, adapter, options: { ...options, maxLength } });
  const infos: readonly TensorInfo[] = [...tensors.values()];
  const { traits: _, warnings, ...facts } = adapter;
  const { layers, hidden, heads, kvHeads, headSize, intermediate } = model.dimensions;
  const { arenas, bytes } = plan;
  return {
    model: options.model ?? options.modelDir,
    architecture,
    kind,
    dimensions: { layers, hidden, heads, kvHeads, headSize, intermediate, vocabulary: model.vocabularySize },
    ...(scoring && { scoring }),
    tensors: infos.length,
    parameters: infos.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    stored: { dtype: stored, bytes: infos.reduce((sum, { byteLength }) => sum + byteLength, 0) },
    adapter: facts,
    tokens: { pair: plan.limits.maxTokens, batch: plan.limits.batchTokens, batchPairs: plan.limits.batchPairs },
    gpu: {
      dtype: plan.storage,
      arenas: arenas.length,
      bytes: { ...bytes, total: bytes.weights + bytes.arenas + bytes.inputs + bytes.stores },
    },
    largestBinding: plan.largestBinding,
    largestBuffer: plan.largestBuffer,
    cut: cutTables(plan.uploads),
    misfits: plan.misfits,
    warnings: [...weights.warnings, ...warnings, ...model.warnings, ...plan.limits.warnings],
  };
}

interface FoundWeights {
  readonly tensors: TensorIndex;
  readonly stored: StorageDtype;
  readonly warnings: readonly string[];
}

/** The checkpoint's tensors by their headers, or those that config.json implies when files are missing. */
async function findWeights(modelDir: string, config: JsonValue): Promise<FoundWeights> {
  let checkpoint: Checkpoint;
  try {
    checkpoint = await openCheckpoint(modelDir);
  } catch (reason) {
    if (!(reason instanceof WgrankError && reason.code === 'checkpoint-missing')) throw reason;
    const dtype = statedDtype(config);
    const warning = `planned from config.json alone, its weights taken to be ${storageName[dtype]}: ${reason.message}`;
    return { tensors: new ExpectedTensors(dtype), stored: storageName[dtype], warnings: [warning] };
  }
  await checkpoint.close();
  return { tensors: checkpoint.tensors, stored: storedDtype(checkpoint), warnings: [] };
}

function statedDtype(config: JsonValue) {
  const name = new ConfigReader(config, 'config.json').optionalString(['dtype', 'torch_dtype']);
  return name === 'bfloat16' ? 'BF16' : name === 'float16' ? 'F16' : 'F32';
}

type FoundAdapter = AdapterFacts & { readonly name: string; readonly warnings: readonly string[] };

/** Kernels of GPUs; WebGPU promises 128 MiB of binding and 256 MiB of buffer, and other limits keep about that ratio. */
const gpuThatBinds = (bindingBytes: number): AdapterFacts => ({
  traits: { software: false, subgroupSize: 0 },
  bindingBytes,
  bufferBytes: 2 * bindingBytes,
});

async function findAdapter(bindingBytes: number | undefined): Promise<FoundAdapter> {
  if (bindingBytes !== undefined) return { ...gpuThatBinds(bindingBytes), name: 'a GPU as given', warnings: [] };
  try {
    const { gpu, warnings } = await openGpu();
    const facts = { ...adapterFacts(gpu), name: gpu.traits.adapter, warnings };
    gpu.destroy();
    return facts;
  } catch (reason) {
    if (!(reason instanceof WgrankError && reason.code === 'adapter-missing')) throw reason;
    const warnings = [`no adapter was found here: planned for a GPU with the limits that WebGPU promises`];
    return { ...gpuThatBinds(128 * 2 ** 20), name: 'none', warnings };
  }
}

/** Parts of one table carry its name. */
function cutTables(uploads: readonly WeightUpload[]): { name: string; parts: number }[] {
  const parts = new Map<string, number>();
  for (const { tensor } of uploads) parts.set(tensor.name, (parts.get(tensor.name) ?? 0) + 1);
  return [...parts].filter(([, count]) => count > 1).map(([name, count]) => ({ name, parts: count }));
}
