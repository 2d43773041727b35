import { describe, expect, it } from 'vitest';
import { parseJson } from '../../src/checkpoint/json-value.ts';
import { families, findFamily } from '../../src/models/registry.ts';

const find = (json: object) =>
  findFamily(parseJson(new TextEncoder().encode(JSON.stringify(json)), (detail) => new Error(detail)));

/** In the order of the message. */
const supported = [
  'XLMRobertaForSequenceClassification',
  'Qwen3ForCausalLM',
  'Qwen3ForSequenceClassification',
  'Qwen2ForCausalLM',
  'Qwen3VLForConditionalGeneration',
];

describe('findFamily', () => {
  it.each([
    ['XLMRobertaForSequenceClassification', 'cross-encoder'],
    ['Qwen3ForCausalLM', 'text-decoder'],
    ['Qwen3ForSequenceClassification', 'text-decoder'],
    ['Qwen2ForCausalLM', 'text-decoder'],
    ['Qwen3VLForConditionalGeneration', 'vl-decoder'],
  ])('finds %s, a %s', (architecture, kind) => {
    expect(find({ architectures: [architecture, 'Ignored'] })).toEqual({
      architecture,
      kind,
      fromConfig: expect.any(Function),
    });
  });

  it.each([
    'BertForSequenceClassification',
    'Qwen2ForSequenceClassification',
    'Qwen2VLForConditionalGeneration',
    'Qwen3VLMoeForConditionalGeneration',
    'LlamaForCausalLM',
    'qwen3forcausallm',
    '',
  ])('refuses %j with what is supported', (architecture) => {
    expect(() => find({ architectures: [architecture] })).toThrow(
      expect.objectContaining({
        code: 'model-unsupported',
        message: `[models] architecture ${architecture} is not supported (supported: ${supported.join(', ')})`,
      }),
    );
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('%s is no architecture', (name) => {
    expect(() => find({ architectures: [name] })).toThrow(`architecture ${name} is not supported`);
  });

  it('refuses a configuration that names none', () => {
    expect(() => find({ architectures: [] })).toThrow('architecture none is not supported');
    expect(() => find({})).toThrow('config.json: lacks architectures (an array of strings)');
    expect(() => find({ architectures: 'Qwen3ForCausalLM' })).toThrow('architectures is "Qwen3ForCausalLM" (an array');
  });

  it('runs what it lists, and nothing else', () => {
    const runs = Object.keys(families).filter((name) => families[name]!.fromConfig);
    expect(runs).toEqual(supported);
  });
});
