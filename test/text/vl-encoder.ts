import { createVlPromptEncoder } from '../../src/text/create-vl-prompt-encoder-node.ts';
import type { PromptEncoderOptions } from '../../src/text/start-prompts-node.ts';
import type { PromptPart, VlPromptEncoder } from '../../src/text/vl-prompt.ts';
import { modelFolder } from './model-folder.ts';

const encoders = new Map<string, Promise<VlPromptEncoder>>();

/** An encoder of Qwen3-VL-Reranker that `closeVlEncoders` closes; the same one for the same options. */
export function startVlEncoder(options: Partial<PromptEncoderOptions> = {}): Promise<VlPromptEncoder> {
  const key = JSON.stringify(options);
  let encoder = encoders.get(key);
  if (encoder === undefined) {
    encoder = createVlPromptEncoder({
      modelDir: options.modelDir ?? modelFolder(),
      architecture: 'Qwen3VLForConditionalGeneration',
      maxLength: 10240,
      truncate: true,
      workers: 1,
      ...options,
    });
    encoders.set(key, encoder);
  }
  return encoder;
}

export async function closeVlEncoders(): Promise<void> {
  for (const outcome of await Promise.allSettled(encoders.values()))
    if (outcome.status === 'fulfilled') await outcome.value.close();
  encoders.clear();
}

export const text = (content: string): PromptPart => ({ kind: 'text', text: content });
export const image = (tokens: number): PromptPart => ({ kind: 'image', tokens });
export const clip = (tokensPerGroup: number, ...timestamps: number[]): PromptPart => ({
  kind: 'video',
  tokensPerGroup,
  timestamps,
});

/** Ids of Qwen's vocabulary. */
export const known = {
  end: 151645,
  visionStart: 151652,
  imagePad: 151655,
  videoPad: 151656,
} as const;

export const count = (ids: ArrayLike<number>, id: number): number =>
  Array.from(ids).filter((other) => other === id).length;
