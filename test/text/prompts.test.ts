import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { compileTemplate, dialectOf } from '../../src/text/chat-template.ts';
import { fillPattern } from '../../src/text/marked-text.ts';
import { promptFamilies } from '../../src/text/prompts.ts';
import { closeAll, exampleTemplate, modelFolder, startEncoder } from './model-folder.ts';

interface Case {
  readonly query: string;
  readonly document: string;
  readonly instruct?: string;
  readonly texts: Readonly<Record<'sglang' | 'official' | 'roles', string>>;
  readonly ids: Readonly<Record<'sglang' | 'official' | 'roles' | 'mxbai' | 'zerank', number[]>>;
  /** The official prompt cut to 96 tokens. */
  readonly official96: number[];
}

const { cases } = JSON.parse(readFileSync(new URL('fixtures/prompts.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};
const rolesFile = fileURLToPath(new URL('fixtures/roles.jinja', import.meta.url));
const rolesFolder = (): string =>
  modelFolder({
    'additional_chat_templates/reranker.jinja': readFileSync(rolesFile, 'utf8'),
    'tokenizer_config.json': JSON.stringify({ eos_token: { content: '<|im_end|>' }, chat_template: '{{ messages }}' }),
  });

afterAll(closeAll);

describe('prompt bytes equal those of jinja2 and transformers', () => {
  test.each([
    ['sglang', exampleTemplate('qwen3_reranker.jinja'), 'sglang'],
    ['official', exampleTemplate('qwen3_reranker_official.jinja'), 'sglang'],
    ['roles', rolesFile, 'roles'],
  ] as const)('%s', (name, file, dialect) => {
    const source = readFileSync(file, 'utf8');
    expect(dialectOf(source)).toBe(dialect);
    for (const spelling of [source, source.replaceAll('\n', '\r\n')]) {
      const render = compileTemplate({ source: spelling, name, specialTokens: { eos_token: '<|im_end|>' } });
      for (const { texts, ...prompt } of cases) expect(render(prompt)).toBe(texts[name]);
    }
  });

  test('official, from a template by role whose default is given without a flag', () => {
    const source =
      '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. ' +
      'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n' +
      '<Instruct>: {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first | ' +
      'default("Given a web search query, retrieve relevant passages that answer the query") }}\n' +
      '<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}\n' +
      '<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}<|im_end|>\n' +
      '<|im_start|>assistant\n<think>\n\n</think>\n\n\n';
    const render = compileTemplate({ source, name: 'by role', specialTokens: {} });
    for (const { texts, ...prompt } of cases) expect(render(prompt)).toBe(texts.official);
  });

  test('the official prompt as data', () => {
    const { ask, plain } = promptFamilies.qwen3;
    for (const { texts, instruct, ...prompt } of cases) {
      const parts = instruct ? ask : plain;
      const joined = parts.map((part) => fillPattern(part, { ...prompt, instruct }, false).text).join('');
      expect(joined).toBe(texts.official);
    }
  });
});

describe('prompt ids equal those of the reference', () => {
  test.each([
    ['sglang', () => ({ chatTemplate: exampleTemplate('qwen3_reranker.jinja') })],
    ['official', () => ({})],
    ['official', () => ({ chatTemplate: exampleTemplate('qwen3_reranker_official.jinja') })],
    ['roles', () => ({ modelDir: rolesFolder() })],
    ['mxbai', () => ({ architecture: 'Qwen2ForCausalLM' })],
    [
      'zerank',
      () => ({
        modelDir: modelFolder({ '1_LogitScore/config.json': '{"true_token_id": 9454, "false_token_id": null}' }),
      }),
    ],
  ] as const)('%s %s', async (name, options) => {
    const encoder = await startEncoder(options());
    for (const { query, document, instruct, ids } of cases) {
      const pairs = await encoder.encode(query, ['another', document], { instruct });
      expect([...pairs[1]!.ids], query).toEqual(ids[name]);
      expect(pairs[1]!.truncatedTokens).toBe(0);
    }
  });

  test('cut to 96 tokens the official prompt is cut as the official code cuts it', async () => {
    const encoder = await startEncoder({ maxLength: 96 });
    let cut = 0;
    for (const { query, document, instruct, ids, official96 } of cases) {
      const [pair] = await encoder.encode(query, [document], { instruct });
      expect([...pair!.ids], query).toEqual(official96);
      expect(pair!.truncatedTokens).toBe(ids.official.length - official96.length);
      cut += Number(pair!.truncatedTokens > 0);
    }
    expect(cut).toBeGreaterThanOrEqual(2);
  });
});
