import process from 'node:process';
import { InvalidArgumentError, type Command } from 'commander';
import type { MediaOptions } from '../rerank/create-request-encoder-node.ts';
import type { WeightDtype } from '../rerank/engine.ts';
import { defaultMaxDocuments } from '../server/app.ts';
import { checkBinding } from '../server/binding.ts';
import { declareAccessFlags, readAccessFlags, type AccessFlags } from './access-flags.ts';
import { applyTwins, describeTwins, type Environment } from './env-flags.ts';
import { integer, nonEmpty, RepeatableOption } from './flag-values.ts';
import { declareMediaFlags, readMediaFlags } from './media-flags.ts';
import { declareLogFlags, declareOperationFlags, readOperationFlags, type OperationFlags } from './operation-flags.ts';
import { declareSglangFlags, sortSglangFlags } from './sglang-flags.ts';

/** `wgrank serve`, parsed. */
export interface ServeFlags {
  /** The first one answers requests that name none. */
  readonly modelPaths: readonly string[];
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
  readonly access: AccessFlags;
  readonly operation: OperationFlags;
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
    .addOption(
      new RepeatableOption(
        '--model, --model-path <path>',
        'folder, embedded model, or hub id in the local cache; repeat it for several',
      ).default([embeddedModel], embeddedModel),
    )
    .option('--revision <name>', 'branch, tag or commit of a hub id; default: main', nonEmpty)
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
    .option(
      '--tokenizer-worker-num, --tokenizer-workers <count>',
      'threads that tokenise; default: a core less than there are, 1 to 4',
      integer(1, 256),
    );
  declareOperationFlags(command);
  command.optionsGroup('Access:');
  declareAccessFlags(command);
  command.optionsGroup('Logs and metrics:');
  declareLogFlags(command);
  command.optionsGroup('Pictures and clips:');
  declareMediaFlags(command);
  command
    .optionsGroup('Other:')
    .option('--example', 'rank one example after start and print it with a curl line to try');
  declareSglangFlags(command);
  describeTwins(command);
  command.configureOutput({ outputError: (text, write) => write(hideValue(text)) });
}

/**
 * @param env gives what the command line does not; the keys in it are taken out
 * @throws Error with the sentence for the operator when a flag or variable is refused
 */
export function readServeFlags(command: Command, env: Environment = process.env): ServeFlags {
  applyTwins(command, env);
  const values = command.opts();
  const modelPaths = readModelPaths([values.modelPath].flat(), values.revision, values.servedModelName);
  // Refuses what has a meaning elsewhere, such as SGLang's own keys, before a command line is shown.
  const ignored = sortSglangFlags(values);
  const access = readAccessFlags(values, env);
  checkBinding({ ...access, host: values.host, commandLine: typedArguments(command) });
  return {
    modelPaths,
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
    access,
    operation: readOperationFlags(values),
    example: values.example === true,
    ignored,
  };
}

/** @throws Error for flags that mean one model where there are several */
function readModelPaths(paths: readonly string[], revision?: string, servedName?: string): string[] {
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined) throw new Error(`the model '${twice}' is given twice`);
  if (paths.length > 1 && revision !== undefined)
    throw new Error('--revision goes with one model (of several, write name@revision)');
  if (paths.length > 1 && servedName !== undefined)
    throw new Error('--served-model-name goes with one model (several are called by their paths)');
  return paths.map((path) => (revision === undefined ? path : `${path}@${revision}`));
}

/** Commander keeps them and does not say so in its types. */
function typedArguments({ parent }: Command): readonly string[] {
  return parent !== null && 'rawArgs' in parent && Array.isArray(parent.rawArgs) ? parent.rawArgs : ['serve'];
}

/** What was typed behind an unknown name may be a key. */
const hideValue = (message: string) => message.replace(/(unknown option '--?[\w-]+)=[^\n]*'/, "$1=…'");

function readDtype(text: string): WeightDtype {
  const dtype = Object.hasOwn(dtypeNames, text) ? dtypeNames[text] : undefined;
  if (dtype === undefined) throw new InvalidArgumentError(`It must be one of ${Object.keys(dtypeNames).join(', ')}.`);
  return dtype;
}
