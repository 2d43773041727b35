import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { compileTemplate, dialectOf } from '../../src/text/chat-template.ts';
import { findVlTokens } from '../../src/text/create-vl-prompt-encoder-node.ts';
import type { SingleLayout } from '../../src/text/pair-layout.ts';
import { familyOf } from '../../src/text/prompts.ts';
import { TokenizerPool } from '../../src/text/tokenizer-pool-node.ts';
import { vlBuiltInPrompt } from '../../src/text/vl-built-in-prompt.ts';
import { VlPromptCutter } from '../../src/text/vl-prompt-cutter.ts';
import { asTemplateTexts } from '../../src/text/vl-prompt-source.ts';
import { visualTokens, type PromptPart } from '../../src/text/vl-prompt.ts';
import { closeAll, exampleTemplate, modelFolder } from './model-folder.ts';
import { clip, closeVlEncoders, count, image, known, startVlEncoder, text } from './vl-encoder.ts';

interface Case {
  readonly query: PromptPart[];
  readonly document: PromptPart[];
  readonly instruct?: string;
  readonly rendered: string;
  readonly ids: number[];
  readonly cut: readonly { readonly limit: number; readonly ids: number[] }[];
}

const { cases } = JSON.parse(readFileSync(new URL('fixtures/vl-text.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};
/** What SGLang's own template renders; of media only the place counts. */
const { cases: sglangCases } = JSON.parse(
  readFileSync(new URL('fixtures/vl-prompts.json', import.meta.url), 'utf8'),
) as {
  cases: (Record<'query' | 'document', ({ type: 'text'; text: string } | { type: 'image' | 'video' })[]> &
    Pick<Case, 'instruct' | 'rendered'>)[];
};
const partsOf = (parts: (typeof sglangCases)[number]['query']): PromptPart[] =>
  parts.map((part) => (part.type === 'text' ? text(part.text) : part.type === 'image' ? image(1) : clip(1, 0)));
const byteCases = [
  ...cases,
  ...sglangCases.map(({ query, document, ...rest }) => ({
    ...rest,
    query: partsOf(query),
    document: partsOf(document),
  })),
];
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const example = exampleTemplate('qwen3_vl_reranker.jinja');
/** As vLLM has it: messages are texts in which the marks of media stand already. */
const flat =
  '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. ' +
  'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n' +
  '<Instruct>: {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first | ' +
  'default("Given a search query, retrieve relevant candidates that answer the query.") }}' +
  '<Query>:{{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}\n' +
  '<Document>:{{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}<|im_end|>\n' +
  '<|im_start|>assistant\n\n';
/** The checkpoint's own template lies where Hugging Face's repositories have it, beside one for conversations. */
const rolesFolder = (): string =>
  modelFolder({
    'additional_chat_templates/reranker.jinja': readFileSync(fixture('vl-roles.jinja'), 'utf8'),
    'chat_template.jinja': '{% for message in messages %}{{ message.content }}{% endfor %}',
    'tokenizer_config.json': JSON.stringify({ eos_token: '<|im_end|>' }),
  });

afterAll(async () => {
  await closeVlEncoders();
  await closeAll();
});

describe('prompt bytes equal those of jinja2 and transformers', () => {
  test.each([
    ['the example', example, 'sglang'],
    ["one built like SGLang's", fixture('vl-sglang.jinja'), 'sglang'],
    ['one by role', fixture('vl-roles.jinja'), 'roles'],
  ] as const)('%s', (name, file, dialect) => {
    const source = readFileSync(file, 'utf8');
    expect(dialectOf(source)).toBe(dialect);
    for (const spelling of [source, source.replaceAll('\n', '\r\n')]) {
      const render = compileTemplate({ source: spelling, name, specialTokens: { eos_token: '<|im_end|>' } });
      for (const { rendered, ...texts } of byteCases)
        expect(render(asTemplateTexts(texts, { content: 'parts', instruct: 'parts' }))).toBe(rendered);
    }
  });

  test('built in, with a pad for each picture and clip', async () => {
    const source = vlBuiltInPrompt(false);
    expect(sglangCases.length).toBeGreaterThan(8);
    for (const { rendered, ...texts } of byteCases) {
      const [prompt] = await source.prompts([texts]);
      expect(prompt!.text).toBe(rendered);
      const media = [...texts.query, ...texts.document].filter(({ kind }) => kind !== 'text');
      expect(prompt!.slots.map(({ kind }) => kind)).toEqual(media.map(({ kind }) => kind));
    }
  });
});

describe('prompt ids equal those of the Rust library for repeated pads', () => {
  test.each([
    ['built in', 'built in: qwen3-vl', () => ({})],
    ['the example', example, () => ({ chatTemplate: example })],
    ["one built like SGLang's", fixture('vl-sglang.jinja'), () => ({ chatTemplate: fixture('vl-sglang.jinja') })],
    ["the checkpoint's own", 'additional_chat_templates/reranker.jinja', () => ({ modelDir: rolesFolder() })],
    ["one like vLLM's", 'flat.jinja', () => ({ chatTemplate: `${modelFolder({ 'flat.jinja': flat })}/flat.jinja` })],
  ])('%s', async (_, name, options) => {
    const encoder = await startVlEncoder(options());
    expect(encoder.prompt.endsWith(name)).toBe(true);
    for (const { query, document, instruct, ids } of cases) {
      const pairs = await encoder.encode(query, [[text('another'), image(2)], document], { instruct });
      expect([...pairs[1]!.ids], JSON.stringify(document)).toEqual(ids);
      expect(pairs[1]!.truncatedTokens).toBe(0);
    }
  });

  test('there are as many pads as visual tokens, whatever a request spells', () => {
    for (const { query, document, ids } of cases) {
      const parts = [...query, ...document];
      const sum = (kind: string): number =>
        parts.filter((part) => part.kind === kind).reduce((total, part) => total + visualTokens(part), 0);
      expect([count(ids, known.imagePad), count(ids, known.videoPad)]).toEqual([sum('image'), sum('video')]);
    }
    expect(cases.filter(({ rendered }) => /<\|(image|video)_/.test(rendered)).length).toBeGreaterThan(10);
  });
});

test('too long prompts are cut as the official code cuts them', async () => {
  const pool = new TokenizerPool({ modelDir: modelFolder(), workers: 1 });
  const { parts, layout } = await pool.loaded();
  const tokens = findVlTokens({ parts, layout: layout as SingleLayout });
  let cuts = 0;
  for (const { query, document, instruct, ids, cut } of cases) {
    for (const { limit, ids: expected } of cut) {
      const source = vlBuiltInPrompt(false);
      const cutter = await VlPromptCutter.create({ source, pool, tokens, maxLength: limit, truncate: true });
      const [pair] = await cutter.encode(query, [document], { instruct });
      expect([...pair!.ids], `${limit}`).toEqual(expected);
      expect(pair!.truncatedTokens).toBe(ids.length - expected.length);
      expect(pair!.ids.length).toBeLessThanOrEqual(limit + 5);
      cuts += Number(pair!.truncatedTokens > 0);
    }
  }
  expect(cuts).toBeGreaterThanOrEqual(10);
  await pool.close();
});

test('the family of the architecture', () => {
  expect(familyOf({ architecture: 'Qwen3VLForConditionalGeneration', singleToken: false })).toBe('qwen3-vl');
  expect(visualTokens(clip(3, 0, 1))).toBe(6);
});
