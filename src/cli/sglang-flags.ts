import type { Command } from 'commander';
import { Option } from 'commander';

/**
 * SGLang's server flags, so that a command line written for SGLang starts wgrank as it is. Three kinds: flags that wgrank has too
 * (`serve-flags.ts`), flags that cannot change a reranker's answer here (accepted, named once as having no effect), and flags whose
 * silent loss would change answers or open the server (refused with a reason).
 * source: SGLang's docs/advanced_features/server_arguments.md and server_args.py, 2026.
 */

const words = (text: string) => text.trim().split(/\s+/);

/** Without a value. */
const ignoredSwitches = words(`
  abort-on-priority-when-disabled allow-auto-truncate checkpoint-engine-wait-weights-before-ready collect-tokens-histogram
  constrained-json-disable-any-whitespace delete-ckpt-after-loading disable-chunked-prefix-cache disable-cuda-graph
  disable-cuda-graph-padding disable-custom-all-reduce disable-fast-image-processor disable-flashinfer-autotune
  disable-flashinfer-cutlass-moe-fp4-allgather disable-hybrid-swa-memory disable-outlines-disk-cache disable-overlap-schedule
  disable-piecewise-cuda-graph disable-radix-cache disable-shared-experts-fusion disable-tokenizer-batch-decode
  disaggregation-decode-enable-offload-kvcache enable-aiter-allreduce-fusion enable-attn-tp-input-scattered
  enable-broadcast-mm-inputs-process enable-cache-report enable-cudagraph-gc enable-custom-logit-processor
  enable-deepep-moe enable-deterministic-inference enable-dp-attention enable-dp-lm-head enable-draft-weights-cpu-backup
  enable-dynamic-batch-tokenizer enable-dynamic-chunking enable-ep-moe enable-eplb enable-expert-distribution-metrics
  enable-flashinfer-allreduce-fusion enable-fp32-lm-head enable-fused-qk-norm-rope enable-hierarchical-cache
  enable-layerwise-nvtx-marker enable-lmcache enable-memory-saver enable-metrics enable-metrics-for-all-schedulers
  enable-mfu-metrics enable-mixed-chunk enable-mscclpp enable-multimodal enable-nan-detection enable-nccl-nvls enable-p2p-check
  enable-precise-embedding-interpolation enable-prefill-delayer enable-prefix-mm-cache enable-priority-scheduling
  enable-profile-cuda-graph enable-request-time-stats-logging enable-return-hidden-states enable-return-routed-experts
  enable-single-batch-overlap enable-symm-mem enable-tokenizer-batch-encode enable-torch-compile
  enable-torch-compile-debug-mode enable-torch-symm-mem enable-trace enable-two-batch-overlap enable-weights-cpu-backup
  enforce-piecewise-cuda-graph export-metrics-to-file flashinfer-mla-disable-ragged incremental-streaming-output
  keep-mm-feature-on-device log-requests prefill-round-robin-balance schedule-low-priority-values-first show-time-cost
  skip-server-warmup sleep-on-idle triton-attention-reduce-in-fp32 trust-remote-code weight-loader-disable-mmap
  weight-loader-prefetch-checkpoints
`);

/** With one value. */
const ignoredValues = words(`
  attention-backend base-gpu-id chunked-prefill-size completion-template constrained-json-whitespace-pattern
  cpu-offload-gb crash-dump-folder cuda-graph-max-bs decode-attention-backend decode-log-interval device dist-init-addr
  dist-timeout download-dir dynamic-batch-tokenizer-batch-size dynamic-batch-tokenizer-batch-timeout
  export-metrics-to-file-dir fastapi-root-path file-storage-path fp4-gemm-backend fp8-gemm-backend gc-warning-threshold-secs
  gpu-id-step grammar-backend hicache-io-backend hicache-mem-layout hicache-ratio hicache-size
  hicache-storage-backend hicache-storage-backend-extra-config hicache-storage-prefetch-policy hicache-write-policy
  kv-cache-dtype kv-events-config limit-mm-data-per-request load-balance-method load-watch-interval log-level-http
  log-requests-format log-requests-level mamba-full-memory-ratio mamba-scheduler-strategy mamba-ssm-dtype max-mamba-cache-size
  max-prefill-tokens max-running-requests max-total-tokens mem-fraction-static mm-attention-backend
  mm-max-concurrent-calls mm-per-request-timeout mm-process-config model-impl model-loader-extra-config moe-a2a-backend
  moe-runner-backend nccl-init-addr nccl-port num-continuous-decode-steps otlp-traces-endpoint page-size
  piecewise-cuda-graph-compiler piecewise-cuda-graph-max-tokens pp-async-batch-depth pp-max-micro-batch-size
  preferred-sampling-params prefill-attention-backend prefill-max-requests priority-scheduling-preemption-threshold
  radix-eviction-policy random-seed reasoning-parser sampling-backend sampling-defaults schedule-conservativeness
  schedule-policy scheduler-recv-interval soft-watchdog-timeout speculative-algorithm speculative-draft-model-path
  speculative-eagle-topk speculative-num-draft-tokens speculative-num-steps stream-interval swa-full-tokens-ratio
  tbo-token-distribution-threshold tokenizer-metrics-custom-labels-header tokenizer-mode tool-call-parser tool-server
  torch-compile-max-bs triton-attention-num-kv-splits triton-attention-split-tile-size warmups watchdog-timeout
  weight-loader-prefetch-num-threads weight-version
`);

/** With one or more values. */
const ignoredLists = words(`
  bucket-e2e-request-latency bucket-inter-token-latency bucket-time-to-first-token cuda-graph-bs generation-tokens-buckets
  log-requests-target numa-node piecewise-cuda-graph-tokens prompt-tokens-buckets tokenizer-metrics-allowed-custom-labels
  uvicorn-access-log-exclude-prefixes
`);

interface RefusedFlag {
  readonly names: string;
  readonly argument: '' | '<value>' | '<values...>';
  /** Values that change nothing and are accepted like an ignored flag. */
  readonly harmless: readonly string[];
  readonly reason: string;
}

const oneGpu = 'wgrank runs one model on one GPU; start one process per GPU and put a balancer in front';
const oneHost = 'wgrank runs on one machine; start one process per machine and put a balancer in front';
const quantised = 'wgrank does not quantise; --dtype chooses f32, f16 or bf16';
const noAdmin = 'wgrank has no routes for administrators; --api-key guards every route';
const noTls = 'wgrank does not speak TLS, and ignoring this flag would send plain text; put a proxy in front';
const otherWeights = 'it would change the scores, and wgrank does not implement it';

const refusedFlags: readonly RefusedFlag[] = [
  ...words('tp tp-size tensor-parallel-size dp dp-size data-parallel-size pp pp-size pipeline-parallel-size').map(
    sizeFlag,
  ),
  ...words('ep ep-size expert-parallel-size attn-cp-size moe-dp-size').map(sizeFlag),
  { names: 'nnodes', argument: '<value>', harmless: ['1'], reason: oneHost },
  { names: 'node-rank', argument: '<value>', harmless: ['0'], reason: oneHost },
  { names: 'quantization', argument: '<value>', harmless: ['unquant'], reason: quantised },
  { names: 'torchao-config', argument: '<value>', harmless: [''], reason: quantised },
  { names: 'modelopt-quant', argument: '<value>', harmless: [], reason: quantised },
  {
    names: 'load-format',
    argument: '<value>',
    harmless: ['auto', 'safetensors'],
    reason: 'wgrank reads safetensors only',
  },
  {
    names: 'tokenizer-path',
    argument: '<value>',
    harmless: [],
    reason: 'wgrank reads tokenizer.json of the model folder; put the other one there',
  },
  {
    names: 'hf-chat-template-name',
    argument: '<value>',
    harmless: [],
    reason: 'it would choose another prompt; pass the template with --chat-template',
  },
  { names: 'skip-tokenizer-init', argument: '', harmless: [], reason: 'reranking needs the tokeniser' },
  {
    names: 'json-model-override-args',
    argument: '<value>',
    harmless: ['{}'],
    reason: 'edit config.json of the model folder',
  },
  { names: 'lora-paths', argument: '<values...>', harmless: [], reason: otherWeights },
  { names: 'enable-lora', argument: '', harmless: [], reason: otherWeights },
  { names: 'custom-weight-loader', argument: '<values...>', harmless: [], reason: otherWeights },
  { names: 'forward-hooks', argument: '<value>', harmless: [], reason: otherWeights },
  { names: 'admin-api-key', argument: '<value>', harmless: [], reason: noAdmin },
  { names: 'ssl-keyfile', argument: '<value>', harmless: [], reason: noTls },
  { names: 'ssl-certfile', argument: '<value>', harmless: [], reason: noTls },
  {
    names: 'config',
    argument: '<value>',
    harmless: [],
    reason: 'wgrank reads no file of flags; pass them on the command line',
  },
  { names: 'grpc-mode', argument: '', harmless: [], reason: 'wgrank speaks HTTP only' },
  { names: 'encoder-only', argument: '', harmless: [], reason: 'wgrank serves whole models only' },
  { names: 'language-only', argument: '', harmless: [], reason: 'wgrank serves whole models only' },
  { names: 'disaggregation-mode', argument: '<value>', harmless: ['null'], reason: 'wgrank serves whole models only' },
];

function sizeFlag(names: string): RefusedFlag {
  return { names, argument: '<value>', harmless: ['1'], reason: oneGpu };
}

/** Declares every flag of SGLang that wgrank does not have, hidden from `--help`. */
export function declareSglangFlags(command: Command): void {
  const declare = (name: string, argument: string) => command.addOption(new Option(`--${name} ${argument}`).hideHelp());
  for (const name of ignoredSwitches) declare(name, '');
  for (const name of ignoredValues) declare(name, '<value>');
  for (const name of ignoredLists) declare(name, '<values...>');
  for (const { names, argument } of refusedFlags) declare(names, argument);
}

/**
 * @param values the parsed options of the command
 * @returns what was given and has no effect, as it was typed
 * @throws Error with the sentence for the operator when a flag is refused
 */
export function sortSglangFlags(values: Readonly<Record<string, unknown>>): string[] {
  const given = (name: string) => values[new Option(`--${name}`).attributeName()];
  for (const { names, harmless, reason } of refusedFlags) {
    const value = given(names);
    if (value === undefined || harmless.includes(String(value))) continue;
    // A key must not end up in a log.
    throw new Error(`option '${asTyped(names, names.endsWith('api-key') ? '…' : value)}' is refused: ${reason}`);
  }
  const ignored = [...ignoredSwitches, ...ignoredValues, ...ignoredLists, ...refusedFlags.map((flag) => flag.names)];
  return ignored.filter((name) => given(name) !== undefined).map((name) => asTyped(name, given(name)));
}

function asTyped(name: string, value: unknown): string {
  return value === true ? `--${name}` : `--${name} ${Array.isArray(value) ? value.join(' ') : String(value)}`;
}
