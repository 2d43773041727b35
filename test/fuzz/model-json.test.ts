import { describe, expect, it } from 'vitest';
import { type JsonValue, parseJson } from '../../src/checkpoint/json-value.ts';
import { parseShardIndex } from '../../src/checkpoint/shard-index.ts';
import { WgrankError } from '../../src/errors.ts';
import { tiered } from '../support/tier.ts';
import { Random } from './random.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_802);
const cases = Number(process.env['FUZZ_CASES'] ?? tiered(20_000, 100_000));

const samples = [
  '{"hidden_size": 8, "eps": 1e-05, "id2label": {"0": "LABEL_0"}, "rope": null, "tie": false, "list": [1, -2.5, [], {}], "é": "\\u00e9\\n"}',
  '{"metadata": {"total_size": 50}, "weight_map": {"a.w": "model-00001-of-00002.safetensors", "b.w": "model-00002-of-00002.safetensors"}}',
];
const pieces = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  '\\',
  '0',
  '-',
  '1e999',
  '-0',
  '.5',
  'null',
  'true',
  '\\ud800',
  '"a":1,',
  '\u0000',
  '\ufeff',
  '/**/',
  '..',
];

function mutate(random: Random): Uint8Array {
  let bytes = [...new TextEncoder().encode(random.pick(samples))];
  do {
    const at = random.below(bytes.length + 1);
    const step = random.below(5);
    if (step === 0 && at < bytes.length) bytes[at] = random.below(256);
    else if (step === 1) bytes.splice(at, 1 + random.below(6));
    else if (step === 2) bytes.splice(at, 0, ...new TextEncoder().encode(random.pick(pieces)));
    else if (step === 3) bytes.splice(at, 0, ...bytes.slice(random.below(bytes.length + 1)).slice(0, 30));
    else bytes = bytes.slice(0, random.below(20) === 0 ? at : bytes.length);
  } while (random.chance(50));
  return Uint8Array.from(bytes);
}

/** What `JSON.parse` makes of it, or undefined. */
function parsePlainly(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function toPlain(value: JsonValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, entry]) => [key, toPlain(entry)]));
  return Array.isArray(value) ? value.map(toPlain) : value;
}

describe('config and index readers are total', () => {
  it(`reads what JSON.parse reads, or refuses it for a named reason, on ${cases} texts of seed ${seed}`, () => {
    let accepted = 0;
    for (let i = 0; i < cases; i++) {
      const bytes = mutate(new Random(seed + i));
      const replay = `FUZZ_SEED=${seed + i} FUZZ_CASES=1: ${JSON.stringify(new TextDecoder().decode(bytes))}`;
      const plain = parsePlainly(bytes);
      try {
        const value = parseJson(bytes, (detail) => new WgrankError('config-invalid', 'config', detail));
        expect(toPlain(value), replay).toEqual(plain);
        accepted++;
      } catch (error) {
        if (!(error instanceof WgrankError)) throw new Error(`not a named error: ${replay}`, { cause: error });
        const stricter = /occurs twice|lone surrogate|\(a finite JSON number\)|nested deeper/.test(error.message);
        if (plain !== undefined && !stricter) expect.fail(`refused with “${error.message}”: ${replay}`);
      }
    }
    if (cases >= 1000) expect(accepted / cases).toBeGreaterThan(0.05);
  });

  it('the shard index names only plain safetensors files, or is refused', () => {
    for (let i = 0; i < cases; i++) {
      const bytes = mutate(new Random(seed + i));
      const replay = `FUZZ_SEED=${seed + i} FUZZ_CASES=1: ${JSON.stringify(new TextDecoder().decode(bytes))}`;
      try {
        const { weightMap, shards } = parseShardIndex(bytes, 'index');
        const plain = parsePlainly(bytes) as { weight_map: Record<string, string> };
        expect(Object.fromEntries(weightMap), replay).toEqual(plain.weight_map);
        for (const shard of shards) expect(shard, replay).toMatch(/^[A-Za-z0-9_.-]+\.safetensors$/);
      } catch (error) {
        if (!(error instanceof WgrankError)) throw new Error(`not a named error: ${replay}`, { cause: error });
        expect(error.code).toBe('checkpoint-invalid');
      }
    }
  });
});
