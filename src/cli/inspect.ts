import { InvalidArgumentError, type Command } from 'commander';
import type { ResolvedModel } from '../hub/resolve-model-node.ts';
import type { WeightDtype } from '../rerank/engine.ts';
import type { InspectOptions, ModelInspection } from '../rerank/inspect-model-node.ts';

/** `wgrank inspect`, parsed. */
export interface InspectFlags {
  readonly model: string;
  readonly dtype: WeightDtype;
  readonly maxLength: number | undefined;
  readonly maxBatchTokens: number | undefined;
  /** Limits of a GPU that is not here. */
  readonly bindingBytes: number | undefined;
  readonly json: boolean;
}

/** The rooms that the command connects. */
export interface InspectParts {
  resolveModel(pathOrId: string): Promise<ResolvedModel>;
  inspectModel(options: InspectOptions): Promise<ModelInspection>;
}

/** Flags of `wgrank serve` that decide what a model needs: the same here, names, checks and all. */
const sharedFlags = ['--revision', '--dtype', '--max-length', '--max-batch-tokens'];

/** @param serve the command with serve's options */
export function declareInspectFlags(command: Command, serve: Command): void {
  command.argument('<model>', 'folder, embedded model, or hub id in the local cache');
  for (const option of serve.options.filter(({ long }) => sharedFlags.includes(long ?? ''))) command.addOption(option);
  command
    .option('--binding-bytes <bytes>', 'plan for a GPU with bindings of this size, not for the adapter here', readBytes)
    .option('--json', 'print JSON');
}

export function readInspectFlags(command: Command, model: string): InspectFlags {
  const { revision, dtype, maxLength, maxBatchTokens, bindingBytes, json } = command.opts();
  const name = revision === undefined ? model : `${model}@${revision}`;
  return { model: name, dtype, maxLength, maxBatchTokens, bindingBytes, json: json === true };
}

function readBytes(text: string): number {
  const bytes = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(bytes >= 2 ** 20 && bytes <= 2 ** 40))
    throw new InvalidArgumentError(`It must be a whole number from ${2 ** 20} to ${2 ** 40}.`);
  return bytes;
}

/**
 * Says what a model is and needs; reads no weights.
 * @returns the exit code: 0, or 1 when the adapter cannot hold the model
 * @throws WgrankError whatever is wrong with the folder or the options
 */
export async function inspect(
  flags: InspectFlags,
  parts: InspectParts,
  print: (text: string) => void,
): Promise<number> {
  const { model, dtype, maxLength, maxBatchTokens, bindingBytes } = flags;
  const { dir } = await parts.resolveModel(model);
  const inspection = await parts.inspectModel({
    modelDir: dir,
    model,
    dtype,
    ...(maxLength !== undefined && { maxLength }),
    ...(maxBatchTokens !== undefined && { maxBatchTokens }),
    ...(bindingBytes !== undefined && { bindingBytes }),
  });
  print(flags.json ? `${JSON.stringify(inspection, null, 2)}\n` : `${describeInspection(inspection).join('\n')}\n`);
  return inspection.misfits.length > 0 ? 1 : 0;
}

/** Lines for a person. */
export function describeInspection(found: ModelInspection): string[] {
  const { dimensions: d, stored, adapter, tokens, gpu, scoring } = found;
  const groups = d.kvHeads === d.heads ? '' : `, ${d.kvHeads} of keys and values`;
  const { bytes } = gpu;
  return [
    `${found.model} · ${found.architecture}, ${found.kind}`,
    line('shape', [
      `${d.layers} layers`,
      `hidden ${d.hidden}`,
      `${d.heads} heads of ${d.headSize}${groups}`,
      `intermediate ${d.intermediate}`,
      `vocabulary ${d.vocabulary}`,
    ]),
    line('stored', [
      `${grouped(found.parameters)} parameters in ${found.tensors} tensors`,
      `${size(stored.bytes)}, ${stored.dtype}`,
    ]),
    ...(scoring ? [line('score', [describeScoring(scoring)])] : []),
    line('adapter', [
      adapter.name,
      `binds up to ${size(adapter.bindingBytes)}`,
      `buffers up to ${size(adapter.bufferBytes)}`,
      adapter.memoryBytes === undefined ? 'memory unknown' : `${size(adapter.memoryBytes)} of memory`,
    ]),
    line('limits', [`${tokens.pair} tokens a pair`, `${tokens.batch} tokens and ${tokens.batchPairs} pairs a batch`]),
    line('memory', [
      `${size(bytes.total)} on the GPU: weights ${size(bytes.weights)} as ${gpu.dtype}`,
      `activations ${size(bytes.arenas)} in ${gpu.arenas === 1 ? 'one arena' : `${gpu.arenas} arenas`}`,
      `inputs ${size(bytes.inputs)}`,
      ...(bytes.stores > 0 ? [`pictures ${size(bytes.stores)}`] : []),
      `${size(bytes.staging)} more while it loads`,
    ]),
    line('largest', [`binding ${size(found.largestBinding.bytes)}, ${found.largestBinding.name}`]),
    line('', [`buffer ${size(found.largestBuffer.bytes)}, ${found.largestBuffer.name}`]),
    ...found.cut.map(({ name, parts }) => line('cut', [`${name} in ${parts} parts`])),
    ...found.warnings.map((warning) => `warning: ${warning}`),
    ...(found.misfits.length === 0 ? ['it fits'] : found.misfits.map((misfit) => `does not fit: ${misfit}`)),
  ];
}

const line = (title: string, parts: readonly string[]) => `${title.padEnd(8)} ${parts.join(' · ')}`;

function describeScoring({ yes, no }: NonNullable<ModelInspection['scoring']>): string {
  return no === undefined ? `logit of token ${yes}` : `logit of token ${yes} less that of token ${no}`;
}

const grouped = (count: number) => count.toLocaleString('en-US');

/** In a binary unit, three digits or so. */
function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)), units.length - 1);
  return unit === 0 ? `${bytes} bytes` : `${(bytes / 1024 ** unit).toFixed(unit === 1 ? 0 : 1)} ${units[unit]}`;
}
