import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/checkpoint/json-value.ts';
import { parseShardIndex } from '../../src/checkpoint/shard-index.ts';
import { WgrankError } from '../../src/errors.ts';
import { decodeMediaRules } from '../../src/media/media-rules.ts';
import { findFamily } from '../../src/models/registry.ts';
import { ExactTokenizer } from '../../src/text/exact-tokenizer.ts';
import { readTokenizerJson } from '../../src/text/tokenizer-json.ts';
import { bpeFormText, formText } from '../text/forms.ts';
import { tiered } from '../support/tier.ts';
import { mutateJson } from './mutate-json.ts';
import { Random } from './random.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_803);
const cases = Number(process.env['FUZZ_CASES'] ?? tiered(2_000, 100_000));

const weights = (file: string) => readFileSync(new URL(`../../weights/${file}`, import.meta.url), 'utf8');
const index = {
  metadata: { total_size: 50 },
  weight_map: { 'a.w': 'model-00001-of-00002.safetensors', 'b.w': 'model-00002-of-00002.safetensors' },
};

/** Text that visits every step. */
const probe = '<s> Ａﬁ e\u0301か\u3099 ab---== 字号 \u3000<mask>😀\u200d™\u0301\0 don\u2019t 12';

function readTokenizer(bytes: Uint8Array): void {
  const ids = new ExactTokenizer(readTokenizerJson(bytes, []).parts).encode(probe);
  if (!ids.every((id) => Number.isInteger(id) && id >= 0)) throw new Error(`ids ${ids.join()}`);
}

function readConfig(bytes: Uint8Array): void {
  const config = parseJson(bytes, (detail) => new WgrankError('config-invalid', 'config', detail));
  findFamily(config).fromConfig?.(config);
}

function readRules(bytes: Uint8Array): void {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new WgrankError('config-invalid', 'config', 'malformed JSON');
  }
  decodeMediaRules({ name: 'preprocessor_config.json', value }, undefined);
}

const readers: [string, string, (bytes: Uint8Array) => void, codes: readonly string[]][] = [
  ['tokenizer.json of Unigram', formText('ties'), readTokenizer, ['tokenizer-invalid']],
  ['tokenizer.json of BPE', bpeFormText('merges'), readTokenizer, ['tokenizer-invalid']],
  [
    'config.json of XLM-RoBERTa',
    weights('tiny-bge-reranker/config.json'),
    readConfig,
    ['config-invalid', 'model-unsupported'],
  ],
  [
    'config.json of Qwen3',
    weights('tiny-qwen3-reranker/config.json'),
    readConfig,
    ['config-invalid', 'model-unsupported'],
  ],
  [
    'config.json of Qwen3-VL',
    weights('tiny-qwen3-vl-reranker/config.json'),
    readConfig,
    ['config-invalid', 'model-unsupported'],
  ],
  [
    'preprocessor_config.json',
    weights('tiny-qwen3-vl-reranker/preprocessor_config.json'),
    readRules,
    ['config-invalid', 'model-unsupported'],
  ],
  [
    'model.safetensors.index.json',
    JSON.stringify(index),
    (bytes) => parseShardIndex(bytes, 'index'),
    ['checkpoint-invalid'],
  ],
];

describe('tokenizer, config and index readers are total', () => {
  test.each(readers)(`%s: ${cases} mutants`, { timeout: 3_600_000 }, (_, sample, read, codes) => {
    read(new TextEncoder().encode(sample));
    let accepted = 0;
    const intrinsics = JSON.stringify(Object.getOwnPropertyNames(Object.prototype));
    for (let i = 0; i < cases; i++) {
      const bytes = mutateJson(new Random(seed + i), sample);
      const replay = `FUZZ_SEED=${seed + i} FUZZ_CASES=1`;
      const started = process.cpuUsage();
      try {
        read(bytes);
        accepted++;
      } catch (error) {
        if (!(error instanceof WgrankError)) throw new Error(`not a named error: ${replay}`, { cause: error });
        if (!codes.includes(error.code)) expect.fail(`${error.code}: ${replay}`);
      }
      const { user, system } = process.cpuUsage(started);
      if ((user + system) / 1000 > 1000) expect.fail(`took ${(user + system) / 1000} ms: ${replay}`);
    }
    expect(JSON.stringify(Object.getOwnPropertyNames(Object.prototype))).toBe(intrinsics);
    // The mutants would prove little if nearly all were of one kind.
    if (cases >= 1000) expect(accepted / cases, 'share of usable files').toBeGreaterThan(0.01);
    if (cases >= 1000) expect(accepted / cases, 'share of usable files').toBeLessThan(0.9);
  });
});
