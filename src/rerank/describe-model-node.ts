import type { JsonValue } from '../checkpoint/json-value.ts';
import { openModelFolder } from '../checkpoint/model-file-node.ts';
import { readJsonFile } from '../checkpoint/read-json-node.ts';
import { findFamily, type ModelKind } from '../models/registry.ts';

export interface ModelDescription {
  readonly kind: ModelKind;
  readonly architecture: string;
  /** Longest pair; undefined for an architecture that is recognised and cannot be run. */
  readonly maxTokens: number | undefined;
}

/** config.json of a model folder. */
export async function readConfig(modelDir: string): Promise<JsonValue> {
  return readJsonFile(await openModelFolder(modelDir), 'config.json');
}

/**
 * What a folder holds, from its config.json alone.
 * @throws WgrankError `checkpoint-missing`, `config-invalid`, `model-unsupported`
 */
export async function describeModel(modelDir: string): Promise<ModelDescription> {
  const config = await readConfig(modelDir);
  const { kind, architecture, fromConfig } = findFamily(config);
  return { kind, architecture, maxTokens: fromConfig?.(config).maxTokens };
}
