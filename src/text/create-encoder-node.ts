import { WgrankError } from '../errors.ts';
import { createPairEncoder } from './create-pair-encoder-node.ts';
import { createPromptEncoder, type PromptEncoderOptions } from './create-prompt-encoder-node.ts';
import type { PairEncoder } from './encoded-pair.ts';

export interface EncoderOptions extends PromptEncoderOptions {
  /** How the model reads a pair. */
  readonly kind: 'cross-encoder' | 'text-decoder' | 'vl-decoder';
}

/**
 * The encoder of a model that reads text: pairs for a cross-encoder, prompts for a decoder.
 * @throws WgrankError `model-unsupported` for vision-language decoders, see `createVlPromptEncoder`; what `createPairEncoder` and `createPromptEncoder` throw
 */
export async function createEncoder(options: EncoderOptions): Promise<PairEncoder> {
  switch (options.kind) {
    case 'cross-encoder':
      return createPairEncoder(options);
    case 'text-decoder':
      return createPromptEncoder(options);
    case 'vl-decoder':
      throw new WgrankError('model-unsupported', 'text', 'a vision-language reranker reads parts, not texts alone');
  }
}
