import { keepInside } from '../checkpoint/model-file-node.ts';
import { createMediaLoader } from '../media/create-media-loader-node.ts';
import { createSourceReader, type SourceReaderOptions } from '../media/read-source-node.ts';
import { mediaRuleFiles, readMediaRules } from '../media/read-media-rules-node.ts';
import { createEncoder, type EncoderOptions } from '../text/create-encoder-node.ts';
import { createVlPromptEncoder } from '../text/create-vl-prompt-encoder-node.ts';
import { VlContentEncoder, type RequestEncoder } from './content-encoder.ts';

/** Where pictures and clips may come from, and how they are read. */
export interface MediaOptions extends Omit<SourceReaderOptions, 'dialForTests'> {
  /** Turns pictures as their EXIF data says. Default false, as the reference. */
  readonly applyExif?: boolean;
}

export interface RequestEncoderOptions extends EncoderOptions {
  /** For models that see. */
  readonly media?: MediaOptions | undefined;
}

/** Files of a model folder that encoders read by their names. */
const encoderFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'additional_chat_templates/reranker.jinja',
  '1_LogitScore/config.json',
  ...mediaRuleFiles,
];

/**
 * The encoder of a model, whatever it reads: pairs for a cross-encoder, prompts for a decoder, prompts with pictures for one that
 * sees.
 * @throws WgrankError `tokenizer-invalid`, `template-invalid`, `config-invalid`, `launch-refused`, `checkpoint-invalid` for a link
 * that leads out of the folder
 */
export async function createRequestEncoder(options: RequestEncoderOptions): Promise<RequestEncoder> {
  await keepInside(options.modelDir, encoderFiles);
  if (options.kind !== 'vl-decoder') return createEncoder(options);
  const { applyExif, mediaRoot, mediaAllow, maxBytes, maxRemoteBytes, remoteTimeoutMs } = options.media ?? {};
  const rules = await readMediaRules(options.modelDir);
  const { read: readSource } = createSourceReader({
    ...(mediaRoot !== undefined && { mediaRoot }),
    ...(mediaAllow !== undefined && { mediaAllow }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(maxRemoteBytes !== undefined && { maxRemoteBytes }),
    ...(remoteTimeoutMs !== undefined && { remoteTimeoutMs }),
  });
  const prompts = await createVlPromptEncoder(options);
  const loader = createMediaLoader({ rules, readSource, ...(applyExif !== undefined && { applyExif }) });
  return new VlContentEncoder({ prompts, loader, grid: rules });
}
