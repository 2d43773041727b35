import os from 'node:os';
import process from 'node:process';
import type { JsonValue } from '../checkpoint/json-value.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Model, ScoringTokens } from '../models/model.ts';
import { findFamily, unsupported, type ModelKind } from '../models/registry.ts';
import { readConfig } from './describe-model-node.ts';
import type { EngineOptions } from './engine.ts';
import type { AdapterFacts } from './plan-model.ts';
import { readScoringTokens } from './scoring-tokens-node.ts';

/** What the small files of a model folder say. */
export interface ReadModel {
  readonly config: JsonValue;
  readonly kind: ModelKind;
  readonly architecture: string;
  readonly model: Model;
  /** For models that are scored by tokens. */
  readonly scoring?: ScoringTokens;
}

/** @throws WgrankError `checkpoint-missing`, `config-invalid`, `model-unsupported`, `tokenizer-invalid` */
export async function readModel(options: EngineOptions): Promise<ReadModel> {
  const config = await readConfig(options.modelDir);
  const { kind, architecture, fromConfig } = findFamily(config);
  if (!fromConfig) throw unsupported(architecture);
  const model = fromConfig(config, options);
  const scoring = model.scoredByTokens ? await readScoringTokens(options.modelDir, architecture) : undefined;
  return { config, kind, architecture, model, ...(scoring && { scoring }) };
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
