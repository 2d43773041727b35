import { afterAll, describe, expect, test } from 'vitest';

import { dialectOf, isRerankerTemplate } from '../../src/text/chat-template.ts';
import { findChatTemplate } from '../../src/text/find-template-node.ts';
import { familyOf } from '../../src/text/prompts.ts';
import { closeAll, modelFolder, startEncoder } from './model-folder.ts';

afterAll(closeAll);

const phrase = 'Note that the answer can only be "yes" or "no".';
const own = (mark: string): string =>
  `${mark} ${phrase} {{ messages[0]["content"] }} {{ messages[1]["content"] }} {{ instruct }}`;

describe('the checkpoint’s own template', () => {
  test.each<[string, Readonly<Record<string, string>>, string | undefined]>([
    ['none', {}, undefined],
    ['chat_template.jinja', { 'chat_template.jinja': own('a') }, 'a'],
    ['tokenizer_config.json', { 'tokenizer_config.json': JSON.stringify({ chat_template: own('b') }) }, 'b'],
    [
      'a named one of tokenizer_config.json',
      {
        'tokenizer_config.json': JSON.stringify({
          chat_template: [
            { name: 'chat', template: 'x' },
            { name: 'reranker', template: own('c') },
          ],
        }),
      },
      'c',
    ],
    [
      'an additional one',
      { 'additional_chat_templates/reranker.jinja': own('d'), 'chat_template.jinja': own('a') },
      'd',
    ],
    [
      'one for conversations',
      { 'chat_template.jinja': '{% for message in messages %}{{ message.content }}{% endfor %}' },
      undefined,
    ],
    [
      'one for conversations beside a reranker’s',
      { 'chat_template.jinja': 'x', 'tokenizer_config.json': JSON.stringify({ chat_template: own('b') }) },
      'b',
    ],
    ['null', { 'tokenizer_config.json': '{"chat_template": null}' }, undefined],
  ])('%s', async (_, files, mark) => {
    const found = await findChatTemplate(modelFolder(files));
    expect(found?.source[0]).toBe(mark);
  });

  test('is used before the official prompt, with its special tokens in scope', async () => {
    const source = `${own('')}{{ eos_token }}{{ pad_token }}{{ bos_token }}`;
    const config = { eos_token: '<|im_end|>', pad_token: { content: '<|endoftext|>' }, bos_token: null };
    const modelDir = modelFolder({ 'chat_template.jinja': source, 'tokenizer_config.json': JSON.stringify(config) });
    const [pair] = await (await startEncoder({ modelDir })).encode('q', ['d'], { instruct: 'i' });
    expect([...pair!.ids].slice(-2)).toEqual([151645, 151643]);
  });

  test('that loses the document is refused by its name', async () => {
    const modelDir = modelFolder({ 'chat_template.jinja': `${phrase} {{ messages[0]["content"] }}` });
    await expect(startEncoder({ modelDir })).rejects.toMatchObject({
      code: 'template-invalid',
      message: expect.stringMatching(/chat_template.jinja loses the document/) as string,
    });
  });

  test.each(['{', '[]', '"text"'])('tokenizer_config.json that holds %s is a named error', async (text) => {
    await expect(findChatTemplate(modelFolder({ 'tokenizer_config.json': text }))).rejects.toMatchObject({
      code: 'template-invalid',
    });
  });
});

test('the phrase of SGLang tells a reranker’s template', () => {
  expect([phrase, phrase.toUpperCase(), 'answer can only be \\"no\\", or \\"yes\\"'].map(isRerankerTemplate)).toEqual([
    true,
    true,
    true,
  ]);
  expect(['answer can only be yes or no', 'reply "yes" or "no"', ''].map(isRerankerTemplate)).toEqual([
    false,
    false,
    false,
  ]);
});

test('templates by index are read as SGLang reads them, all others as transformers does', () => {
  expect(['{{ messages[0]["content"] }}', '{{ messages [ 1 ].content }}'].map(dialectOf)).toEqual(['sglang', 'sglang']);
  expect(['{{ messages | first }}', '{% if messages[0].role == "system" %}', 'x'].map(dialectOf)).toEqual([
    'roles',
    'roles',
    'roles',
  ]);
});

test('families by what the checkpoint is', () => {
  expect(familyOf({ architecture: 'Qwen3ForCausalLM', singleToken: false })).toBe('qwen3');
  expect(familyOf({ architecture: 'Qwen3ForSequenceClassification', singleToken: false })).toBe('qwen3');
  expect(familyOf({ architecture: 'Qwen3ForCausalLM', singleToken: true })).toBe('zerank');
  expect(familyOf({ architecture: 'Qwen2ForCausalLM', singleToken: false })).toBe('mxbai-rerank-v2');
});
