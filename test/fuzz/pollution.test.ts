import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseJson } from '../../src/checkpoint/json-value.ts';
import { parseSafetensors } from '../../src/checkpoint/safetensors.ts';
import { parseShardIndex } from '../../src/checkpoint/shard-index.ts';
import { WgrankError } from '../../src/errors.ts';
import { decodeMediaRules } from '../../src/media/media-rules.ts';
import { findFamily } from '../../src/models/registry.ts';
import { compileTemplate } from '../../src/text/chat-template.ts';
import { findChatTemplate } from '../../src/text/find-template-node.ts';
import { readTokenizerJson } from '../../src/text/tokenizer-json.ts';
import { createFakeReranker, startApp, type RunningApp } from '../server/fake-reranker.ts';
import { formText } from '../text/forms.ts';
import { tiered } from '../support/tier.ts';
import { Random } from './random.ts';

const seed = 20_260_812;
const payloads = 5_000;

/** All that code takes for granted: constructors and namespaces of the language, and their prototypes. */
const intrinsics = Reflect.ownKeys(globalThis)
  .filter((name): name is string => typeof name === 'string' && /^[A-Z]/.test(name))
  .flatMap((name) => {
    const value: unknown = Reflect.get(globalThis, name);
    const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
    if (!isObject) return [];
    const prototype: unknown = Reflect.get(value, 'prototype');
    const both: [string, object][] = [[name, value]];
    if (typeof prototype === 'object' && prototype !== null) both.push([`${name}.prototype`, prototype]);
    return both;
  });

interface Seen {
  readonly name: string;
  readonly prototype: object | null;
  readonly properties: readonly (readonly [PropertyKey, PropertyDescriptor])[];
}

const look = (): Seen[] =>
  intrinsics.map(([name, object]) => ({
    name,
    prototype: Object.getPrototypeOf(object) as object | null,
    properties: Reflect.ownKeys(object).map((key) => [key, Object.getOwnPropertyDescriptor(object, key)!]),
  }));

/** Names of what is another thing than before. */
function changes(before: readonly Seen[], after: readonly Seen[]): string[] {
  return before.flatMap(({ name, prototype, properties }, i) => {
    const now = after[i]!;
    const wrong = prototype === now.prototype ? [] : [`prototype of ${name}`];
    if (now.properties.length !== properties.length) wrong.push(`properties of ${name}`);
    for (const [key, was] of properties) {
      const is = now.properties.find(([other]) => other === key)?.[1];
      if (
        !Object.is(is?.value, was.value) ||
        is?.get !== was.get ||
        is?.set !== was.set ||
        is?.writable !== was.writable
      )
        wrong.push(`${name}.${String(key)}`);
    }
    return wrong;
  });
}

const keys = [
  '"__proto__"',
  '"constructor"',
  '"prototype"',
  '"\\u005f_proto__"',
  '"__defineGetter__"',
  '"toString"',
  '"length"',
  '"0"',
];
const leaves = [
  '{"polluted":1}',
  '["polluted"]',
  '"polluted"',
  '1',
  'null',
  '{"prototype":{"polluted":1}}',
  '{"toString":1}',
  '{"get":1,"value":2}',
];

/** Puts a pollution into a JSON text, at any of its braces. */
function pollute(random: Random, sample: string): string {
  let text = sample;
  do {
    const braces = [...text.matchAll(/\{/g)].slice(0, 40).map(({ index }) => index);
    const at = random.pick(braces) + 1;
    let value = random.pick(leaves);
    while (random.chance(50)) value = `{${random.pick(keys)}:${value}}`;
    const comma = /^\s*\}/.test(text.slice(at)) ? '' : ',';
    text = `${text.slice(0, at)}${random.pick(keys)}:${value}${comma}${text.slice(at)}`;
  } while (random.chance(40));
  return text;
}

const polluted = (i: number, sample: string) => pollute(new Random(seed + i), sample);
const bytesOf = (text: string) => new TextEncoder().encode(text);

const bodies: [string, object][] = [
  ['/v1/rerank', { query: 'q', documents: ['a', [{ type: 'text', text: 'b' }]], top_n: 1 }],
  ['/v2/rerank', { query: 'q', documents: [{ text: 'a' }], model: 'm' }],
  ['/rerank', { query: 'q', texts: ['a'], raw_scores: true }],
  ['/rerank', { query: 'q', documents: [{ text: 'a', title: 'b' }], top_k: 1, return_documents: true }],
  ['/v1/ranking', { query: { text: 'q' }, passages: [{ text: 'a' }] }],
  ['/score', { text_1: 'q', text_2: ['a'] }],
  ['/sglang/score', { query: 'q', items: ['a'], label_token_ids: [1, 2] }],
  ['/vllm/rerank', { query: 'q', documents: ['a'], mm_processor_kwargs: {}, chat_template_kwargs: {} }],
];

let app: RunningApp;
let folder: string;
beforeAll(async () => {
  app = await startApp(createFakeReranker({ kind: 'text-decoder', scoringTokens: { yes: 1, no: 2 } }));
  folder = mkdtempSync(join(tmpdir(), 'wgrank-pollution-'));
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true });
});

const config = '{"architectures":["Qwen3ForCausalLM"],"rope_scaling":{"type":"default"},"hidden_size":8}';
const header = '{"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}';
const render = compileTemplate({
  source: '{{ messages[0].content }}{{ messages[0].polluted }}',
  name: 't',
  specialTokens: {},
});

const sinks: [string, (i: number) => unknown][] = [
  [
    'config.json',
    (i) => findFamily(parseJson(bytesOf(polluted(i, config)), (why) => new WgrankError('config-invalid', '', why))),
  ],
  [
    'the shard index',
    (i) => parseShardIndex(bytesOf(polluted(i, '{"metadata":{},"weight_map":{"a":"x.safetensors"}}')), 'x'),
  ],
  [
    'a safetensors header',
    (i) => {
      const bytes = bytesOf(polluted(i, header));
      return parseSafetensors(bytes, bytes.length + 9, 'x');
    },
  ],
  [
    'tokenizer.json and its configs',
    (i) => {
      if (i % 25 === 0) return readTokenizerJson(bytesOf(polluted(i, formText('ties'))), []);
      const small = '{"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{},"merges":[]}}';
      return readTokenizerJson(bytesOf(polluted(i, small)), [
        JSON.parse(polluted(i, '{"bos_token":{"content":"<s>"}}')),
      ]);
    },
  ],
  [
    'preprocessor_config.json',
    (i) =>
      decodeMediaRules(
        { name: 'x', value: JSON.parse(polluted(i, '{"size":{"longest_edge":1},"patch_size":16}')) },
        undefined,
      ),
  ],
  [
    'what a template is given',
    (i) => {
      const parts = JSON.parse(polluted(i, '{"query":[{"type":"text","text":"q"}],"document":"d"}'));
      render(parts);
      expect(render({ query: 'q', document: 'd' })).toBe('q');
    },
  ],
];

describe('the prototype stays clean', () => {
  test('the look sees a change', () => {
    const before = look();
    expect(before.length).toBeGreaterThan(80);
    Reflect.defineProperty(Object.prototype, 'polluted', { value: 1, configurable: true });
    expect(changes(before, look())).toEqual(['properties of Object.prototype']);
    Reflect.deleteProperty(Object.prototype, 'polluted');
    expect(changes(before, look())).toEqual([]);
  });

  test.each(sinks)(`${payloads} payloads for %s`, (_, sink) => {
    const before = look();
    for (let i = 0; i < payloads; i++) {
      try {
        sink(i);
      } catch (error) {
        if (!(error instanceof WgrankError)) throw error;
      }
      if (({} as { polluted?: unknown }).polluted !== undefined) expect.fail(`seed ${seed + i}`);
    }
    expect(changes(before, look())).toEqual([]);
  });

  test('tokenizer_config.json with templates', async () => {
    const before = look();
    for (let i = 0; i < tiered(500, payloads); i++) {
      const text = polluted(i, '{"chat_template":[{"name":"a","template":"t"}],"eos_token":{"content":"x"}}');
      writeFileSync(join(folder, 'tokenizer_config.json'), text);
      await findChatTemplate(folder).catch((error: unknown) => expect(error).toBeInstanceOf(WgrankError));
    }
    expect(changes(before, look())).toEqual([]);
  });

  test.each(bodies)(`${tiered(200, payloads)} bodies for %s: answered`, async (path, body) => {
    const before = look();
    const sample = JSON.stringify(body);
    for (let i = 0; i < tiered(200, payloads); i++) {
      const response = await fetch(app.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: polluted(i, sample),
      });
      expect([200, 400, 422], `seed ${seed + i}`).toContain(response.status);
      await response.arrayBuffer();
    }
    expect(changes(before, look())).toEqual([]);
  });
});
