import { ConfigReader } from '../checkpoint/config.ts';
import type { JsonValue } from '../checkpoint/json-value.ts';
import { WgrankError } from '../errors.ts';
import type { ModelFromConfig } from './model.ts';
import { qwen3FromConfig } from './qwen3-config.ts';
import { qwen3VlFromConfig } from './qwen3-vl-config.ts';
import { xlmRobertaFromConfig } from './xlm-roberta-config.ts';

/** How a model turns a pair into a score; decides defaults of the HTTP API. */
export type ModelKind = 'cross-encoder' | 'text-decoder' | 'vl-decoder';

export interface Family {
  readonly kind: ModelKind;
  /** Absent for architectures that wgrank recognises and cannot run. */
  readonly fromConfig?: ModelFromConfig;
}

/** `architectures[0]` of config.json → family. */
export const families: Readonly<Record<string, Family>> = {
  XLMRobertaForSequenceClassification: { kind: 'cross-encoder', fromConfig: xlmRobertaFromConfig },
  Qwen3ForCausalLM: { kind: 'text-decoder', fromConfig: qwen3FromConfig },
  Qwen3ForSequenceClassification: { kind: 'text-decoder', fromConfig: qwen3FromConfig },
  Qwen2ForCausalLM: { kind: 'text-decoder', fromConfig: qwen3FromConfig },
  Qwen3VLForConditionalGeneration: { kind: 'vl-decoder', fromConfig: qwen3VlFromConfig },
};

const supported = Object.entries(families).flatMap(([name, { fromConfig }]) => (fromConfig ? [name] : []));

/** @throws WgrankError `model-unsupported` with what is supported; `config-invalid` */
export function findFamily(config: JsonValue): Family & { readonly architecture: string } {
  const [architecture] = new ConfigReader(config, 'config.json').strings('architectures');
  if (architecture === undefined || !Object.hasOwn(families, architecture)) throw unsupported(architecture ?? 'none');
  return { ...families[architecture]!, architecture };
}

/** The error for an architecture that cannot be run. */
export function unsupported(architecture: string): WgrankError {
  return new WgrankError(
    'model-unsupported',
    'models',
    `architecture ${architecture} is not supported (supported: ${supported.join(', ')})`,
  );
}
