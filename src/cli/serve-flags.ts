import { InvalidArgumentError, type Command } from 'commander';
import type { MediaOptions } from '../rerank/create-request-encoder-node.ts';
import type { WeightDtype } from '../rerank/engine.ts';
import { defaultMaxDocuments } from '../server/app.ts';
import { declareMediaFlags, readMediaFlags } from './media-flags.ts';
import { integer, nonEmpty } from './flag-values.ts';
import { declareSglangFlags, sortSglangFlags } from './sglang-flags.ts';

/** `wgrank serve`, parsed. */
export interface ServeFlags {
  readonly modelPath: string;
  readonly host: string;
  readonly port: number;
  readonly isEmbedding: boolean;
  readonly dtype: WeightDtype;
  readonly servedModelName: string | undefined;
  /** Tokens; undefined: the model's own maximum, for decoders at most 8192, or 10240 with pictures. */
  readonly maxLength: number | undefined;
  readonly truncate: boolean;
  /** File of a chat template. */
  readonly chatTemplate: string | undefined;
  readonly escapeSpecialTokens: boolean;
  readonly maxBatchTokens: number | undefined;
  /** Undefined: what suits the kind of model. */
  readonly maxBodyBytes: number | undefined;
  readonly maxDocuments: number;
  readonly tokenizerWorkers: number | undefined;
  /** Where pictures and clips may come from, and how they are read. */
  readonly media: MediaOptions;
  readonly example: boolean;
  /** SGLang flags that were given and do nothing here. */
  readonly ignored: readonly string[];
}

/** Comes with the package, so that everything runs without a network. */
export const embeddedModel = 'tiny-bge-reranker';

const dtypeNames: Readonly<Record<string, WeightDtype>> = {
  auto: 'auto',
  half: 'f16',
  float16: 'f16',
  f16: 'f16',
  bfloat16: 'bf16',
  bf16: 'bf16',
  float: 'f32',
  float32: 'f32',
  f32: 'f32',
};

/** Declares the options of `wgrank serve`. Names, defaults and meanings are SGLang's where SGLang has the flag. */
export function declareServeFlags(command: Command): void {
  command
    .optionsGroup('Model:')
    .option(
      '--model, --model-path <path>',
      'folder, embedded model, or hub id in the local cache',
      nonEmpty,
      embeddedModel,
    )
    .option('--revision <name>', 'branch, tag or commit of a hub id', nonEmpty)
    .option('--dtype <name>', 'what weights are stored as: auto, float32, float16, bfloat16', readDtype, 'auto')
    .option(
      '--context-length, --max-length <tokens>',
      "longest pair; default: the model's own maximum, for decoders at most 8192, with pictures 10240",
      integer(8, 1 << 20),
    )
    .option('--no-truncate', 'refuse pairs that are too long (400) instead of cutting the document')
    .option(
      '--chat-template <file>',
      "prompt of a decoder; default: the checkpoint's own reranker template, else the official prompt",
      nonEmpty,
    )
    .option('--escape-special-tokens', 'strings like <|im_end|> in requests are text; default: special tokens')
    .option('--is-embedding', 'accepted for cross-encoders, as SGLang wants it; refused for decoder-only models')
    .option('--max-batch-tokens <tokens>', 'tokens of one batch; default: what suits the adapter', integer(16, 1 << 24))
    .optionsGroup('HTTP:')
    .option('--host <address>', 'address to listen on', nonEmpty, '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 takes a free one', integer(0, 65535), 30000)
    .option('--served-model-name <name>', 'name in /v1/models; default: the model path', nonEmpty)
    .option(
      '--max-body-bytes <bytes>',
      'largest request body; default: 16 MiB, for models that see 64 MiB',
      integer(1, 1 << 30),
    )
    .option('--max-documents <count>', 'documents of one request', integer(1, 1_000_000), defaultMaxDocuments)
    .option('--tokenizer-worker-num, --tokenizer-workers <count>', 'threads that tokenise', integer(1, 256))
    .optionsGroup('Pictures and clips:');
  declareMediaFlags(command);
  command
    .optionsGroup('Other:')
    .option('--example', 'rank one example after start and print it with a curl line to try');
  declareSglangFlags(command);
}

/** @throws Error with the sentence for the operator when a flag is refused */
export function readServeFlags(command: Command): ServeFlags {
  const values = command.opts();
  return {
    modelPath: values.revision === undefined ? values.modelPath : `${values.modelPath}@${values.revision}`,
    host: values.host,
    port: values.port,
    isEmbedding: values.isEmbedding === true,
    dtype: values.dtype,
    servedModelName: values.servedModelName,
    maxLength: values.maxLength,
    truncate: values.truncate,
    chatTemplate: values.chatTemplate,
    escapeSpecialTokens: values.escapeSpecialTokens === true,
    maxBatchTokens: values.maxBatchTokens,
    maxBodyBytes: values.maxBodyBytes,
    maxDocuments: values.maxDocuments,
    tokenizerWorkers: values.tokenizerWorkers,
    media: readMediaFlags(values),
    example: values.example === true,
    ignored: sortSglangFlags(values),
  };
}

function readDtype(text: string): WeightDtype {
  const dtype = Object.hasOwn(dtypeNames, text) ? dtypeNames[text] : undefined;
  if (dtype === undefined) throw new InvalidArgumentError(`It must be one of ${Object.keys(dtypeNames).join(', ')}.`);
  return dtype;
}
