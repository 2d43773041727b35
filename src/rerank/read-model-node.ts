import os from 'node:os';
import process from 'node:process';
import type { JsonValue } from '../checkpoint/json-value.ts';
import { keepInside } from '../checkpoint/model-file-node.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { mediaRuleFiles, readMediaRules } from '../media/read-media-rules-node.ts';
import type { Model, ScoringTokens, VisionModel } from '../models/model.ts';
import { WgrankError } from '../errors.ts';
import { findFamily, unsupported, type ModelKind } from '../models/registry.ts';
import { readConfig } from './describe-model-node.ts';
import type { EngineOptions } from './engine.ts';
import type { AdapterFacts, PlanRequest } from './plan-model.ts';
import { readScoringTokens } from './scoring-tokens-node.ts';

/** What the small files of a model folder say. */
export interface ReadModel {
  readonly config: JsonValue;
  readonly kind: ModelKind;
  readonly architecture: string;
  readonly model: Model;
  /** For models that are scored by tokens. */
  readonly scoring?: ScoringTokens;
  /** For models that see. */
  readonly media?: NonNullable<PlanRequest['media']>;
}

/** @throws WgrankError `checkpoint-missing`, `checkpoint-invalid`, `config-invalid`, `model-unsupported`, `tokenizer-invalid` */
export async function readModel(options: EngineOptions): Promise<ReadModel> {
  const config = await readConfig(options.modelDir);
  const { kind, architecture, fromConfig } = findFamily(config);
  if (!fromConfig) throw unsupported(architecture);
  const model = fromConfig(config, options);
  const scoring = model.scoredByTokens ? await readScoringTokens(options.modelDir, architecture) : undefined;
  const media = model.vision && (await readPictureRules(options.modelDir, model.vision));
  return { config, kind, architecture, model, ...(scoring && { scoring }), ...(media && { media }) };
}

/** What pictures are cut to must be what the model takes. */
async function readPictureRules(modelDir: string, vision: VisionModel): Promise<NonNullable<PlanRequest['media']>> {
  await keepInside(modelDir, mediaRuleFiles);
  const rules = await readMediaRules(modelDir);
  for (const size of ['patchSize', 'temporalPatchSize', 'mergeSize'] as const) {
    if (rules[size] === vision[size]) continue;
    throw new WgrankError(
      'config-invalid',
      'config',
      `preprocessor_config.json has a ${size} of ${rules[size]} (config.json has ${vision[size]}, and they mean the same)`,
    );
  }
  const byChannel = ([red, green, blue]: readonly number[]) => [red!, green!, blue!] as const;
  return {
    pixels: { mean: byChannel(rules.mean), std: byChannel(rules.std) },
    imagePixels: rules.image.maxPixels,
  };
}

/** What an open device can hold. */
export function adapterFacts({ traits, limits }: Pick<Gpu, 'traits' | 'limits'>): AdapterFacts {
  return {
    traits,
    bindingBytes: limits.maxStorageBufferBindingSize,
    bufferBytes: limits.maxBufferSize,
    ...(traits.software && { memoryBytes: machineMemory() }),
  };
}

/** Bytes that a process may have: the machine's, or less in a container. */
function machineMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, os.totalmem()) : os.totalmem();
}
