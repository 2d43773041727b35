import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../src/checkpoint/config.ts';
import { neutralConfigKeys } from '../../src/checkpoint/config-keys.ts';
import { parseJson } from '../../src/checkpoint/json-value.ts';
import { WgrankError } from '../../src/errors.ts';

function reader(text: string): ConfigReader {
  return new ConfigReader(
    parseJson(new TextEncoder().encode(text), (detail) => new Error(detail)),
    'config.json',
  );
}

/** As published with bge-reranker-base. */
const published = `{
  "_name_or_path": "BAAI/bge-reranker-base", "architectures": ["XLMRobertaForSequenceClassification"],
  "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "classifier_dropout": null, "eos_token_id": 2, "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1, "hidden_size": 768, "id2label": {"0": "LABEL_0"}, "initializer_range": 0.02,
  "intermediate_size": 3072, "label2id": {"LABEL_0": 0}, "layer_norm_eps": 1e-05, "max_position_embeddings": 514,
  "model_type": "xlm-roberta", "num_attention_heads": 12, "num_hidden_layers": 12, "output_past": true, "pad_token_id": 1,
  "position_embedding_type": "absolute", "torch_dtype": "float32", "transformers_version": "4.33.3", "type_vocab_size": 1,
  "use_cache": true, "vocab_size": 250002 }`;

describe('a published config.json', () => {
  it('is read key by key, and nothing is left', () => {
    const config = reader(published);
    expect(config.strings('architectures')).toEqual(['XLMRobertaForSequenceClassification']);
    expect(config.oneOf('model_type', ['xlm-roberta'])).toBe('xlm-roberta');
    expect(config.integer('hidden_size', { min: 1, max: 65_536 })).toBe(768);
    expect(config.integer('intermediate_size', { min: 1 })).toBe(3072);
    expect(config.integer('num_attention_heads', { min: 1 })).toBe(12);
    expect(config.integer('num_hidden_layers', { min: 1 })).toBe(12);
    expect(config.integer('vocab_size', { min: 1 })).toBe(250_002);
    expect(config.integer('max_position_embeddings')).toBe(514);
    expect(config.integer('type_vocab_size')).toBe(1);
    expect(config.integer('pad_token_id')).toBe(1);
    expect(config.number('layer_norm_eps', { min: 0 })).toBe(1e-5);
    expect(config.oneOf('hidden_act', ['gelu'])).toBe('gelu');
    expect(config.optionalEntries('id2label')?.size).toBe(1);
    expect(config.optionalString(['dtype', 'torch_dtype'])).toBe('float32');
    config.mustBe('position_embedding_type', 'absolute', 'relative positions are not implemented');
    config.mustBe('is_decoder', false, 'causal attention is not implemented');
    config.ignore(Object.keys(neutralConfigKeys));
    expect(() => config.finish()).not.toThrow();
  });

  it('names every key that nobody looked at', () => {
    const config = reader(
      '{"hidden_size": 8, "rope_scaling": {"factor": 2}, "use_cache": true, "window\\u0007": 1, "__proto__": 2}',
    );
    config.integer('hidden_size');
    config.ignore(Object.keys(neutralConfigKeys));
    expect(() => config.finish()).toThrow(
      '[config] config.json: unknown keys rope_scaling, "window\\u0007", __proto__ (',
    );
  });

  it('cuts a long list of them', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]));
    expect(() => reader(JSON.stringify(many)).finish()).toThrow(/k18, k19, … \(100 keys\) \(/);
  });
});

describe('values', () => {
  const cases: [string, string, (config: ConfigReader) => unknown, string][] = [
    ['a missing integer', '{}', (c) => c.integer('n', { min: 1 }), 'lacks n (a whole number of at least 1)'],
    ['null for an integer', '{"n":null}', (c) => c.integer('n'), 'n is null (a whole number)'],
    ['a fraction', '{"n":1.5}', (c) => c.integer('n', { min: 1, max: 9 }), 'n is 1.5 (a whole number from 1 to 9)'],
    [
      'a string for an integer',
      '{"n":"8"}',
      (c) => c.integer('n', { max: 9 }),
      'n is "8" (a whole number of at most 9)',
    ],
    ['too small', '{"n":0}', (c) => c.integer('n', { min: 1 }), 'n is 0 (a whole number of at least 1)'],
    ['too large', '{"n":10}', (c) => c.optionalInteger('n', { max: 9 }), 'n is 10 (a whole number of at most 9)'],
    ['2^53', '{"n":9007199254740993}', (c) => c.integer('n'), 'n is 9007199254740992 (a whole number)'],
    ['true for a number', '{"x":true}', (c) => c.number('x'), 'x is true (a number)'],
    [
      'a number out of range',
      '{"x":-1e-9}',
      (c) => c.optionalNumber('x', { min: 0 }),
      'x is -1e-9 (a number of at least 0)',
    ],
    ['a number for a string', '{"s":1}', (c) => c.string('s'), 's is 1 (a string)'],
    ['an object for a string', '{"s":{"a":1}}', (c) => c.optionalString('s'), 's is an object of 1 keys (a string)'],
    ['1 for a boolean', '{"b":1}', (c) => c.boolean('b'), 'b is 1 (true or false)'],
    ['"no" for a boolean', '{"b":"no"}', (c) => c.optionalBoolean('b'), 'b is "no" (true or false)'],
    [
      'another choice',
      '{"act":"relu"}',
      (c) => c.oneOf('act', ['gelu', 'silu']),
      'act is "relu" (one of "gelu", "silu")',
    ],
    ['the only choice', '{"act":"relu"}', (c) => c.optionalOneOf('act', ['gelu']), 'act is "relu" (only "gelu")'],
    ['a string for a list', '{"l":"a"}', (c) => c.strings('l'), 'l is "a" (an array of strings)'],
    ['a mixed list', '{"l":["a",1]}', (c) => c.optionalStrings('l'), 'l is ["a", 1] (an array of strings)'],
    [
      'a list out of range',
      '{"l":[24,-1]}',
      (c) => c.integers('l', { min: 0 }),
      'l is [24, -1] (an array of whole numbers of at least 0)',
    ],
    [
      'a long list',
      `{"l":[${'0,'.repeat(20)}"x"]}`,
      (c) => c.integers('l'),
      'l is an array of 21 elements (an array of whole numbers)',
    ],
    ['a list for an object', '{"o":[]}', (c) => c.object('o'), 'o is [] (an object)'],
    ['a missing object', '{}', (c) => c.entries('o'), 'lacks o (an object)'],
    [
      'a nested value',
      '{"t":{"u":{"n":"x"}}}',
      (c) => c.object('t').object('u').integer('n'),
      't.u.n is "x" (a whole number)',
    ],
    [
      'a value with no choice',
      '{"d":true}',
      (c) => c.mustBe('d', false, 'no decoders'),
      'd is true (must be false: no decoders)',
    ],
    [
      'a rule across keys',
      '{"h":10}',
      (c) => {
        throw c.fail('h', 'a multiple of 3 heads');
      },
      'h is 10 (a multiple of 3 heads)',
    ],
  ];
  it.each(cases)('%s', (_, text, read, message) => {
    let error: unknown;
    try {
      read(reader(text));
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(WgrankError);
    expect(error).toMatchObject({ code: 'config-invalid', message: `[config] config.json: ${message}` });
  });

  it('returns undefined for absent and null keys, and counts both as read', () => {
    const config = reader('{"a":null,"b":null,"c":null}');
    expect(config.optionalInteger('a')).toBeUndefined();
    expect(config.optionalObject('b')).toBeUndefined();
    expect(config.optionalEntries('missing')).toBeUndefined();
    expect(config.has('c')).toBe(false);
    config.mustBe('c', 1, '');
    config.finish();
  });

  it('keeps false, 0, -0 and the empty string', () => {
    const config = reader('{"b":false,"n":0,"m":-0,"s":"","x":0.0}');
    expect(config.boolean('b')).toBe(false);
    expect(config.integer('n')).toBe(0);
    expect(Object.is(config.integer('m'), 0)).toBe(true);
    expect(config.string('s')).toBe('');
    expect(config.number('x')).toBe(0);
  });

  it('refuses a file that is no object', () => {
    expect(() => reader('[1]')).toThrow('[config] config.json is [1] (an object)');
  });
});

describe('aliases', () => {
  const dtype = ['dtype', 'torch_dtype'] as const;

  it('reads whichever spelling is there', () => {
    expect(reader('{"dtype":"bfloat16"}').string(dtype)).toBe('bfloat16');
    expect(reader('{"torch_dtype":"bfloat16"}').string(dtype)).toBe('bfloat16');
    expect(reader('{"dtype":null,"torch_dtype":"float16"}').string(dtype)).toBe('float16');
  });

  it('counts all spellings as read when they agree, and refuses when they do not', () => {
    const config = reader('{"dtype":"float16","torch_dtype":"float16"}');
    config.string(dtype);
    config.finish();
    expect(() => reader('{"dtype":"float16","torch_dtype":"float32"}').string(dtype)).toThrow(
      'torch_dtype is "float32" (dtype says "float16", and they mean the same)',
    );
  });

  it('names the spelling that is wrong, or the current one when none is there', () => {
    expect(() => reader('{"torch_dtype":1}').string(dtype)).toThrow('torch_dtype is 1 (a string)');
    expect(() => reader('{}').string(dtype)).toThrow('lacks dtype (a string)');
  });
});

describe('nested objects', () => {
  it('are accounted for by the outer finish', () => {
    const config = reader('{"text_config":{"hidden_size":8,"odd":1},"vision_config":{"depth":2},"x":0}');
    const text = config.object('text_config');
    text.integer('hidden_size');
    config.optionalObject('vision_config')?.integer('depth');
    expect(() => config.finish()).toThrow('unknown keys x, text_config.odd (');
    config.ignore(['x']);
    text.ignore(['odd']);
    config.finish();
  });
});

it('gives a reason for every neutral key, and leaves out those that change results', () => {
  for (const reason of Object.values(neutralConfigKeys)) expect(reason.length).toBeGreaterThan(10);
  for (const key of [
    'pad_token_id',
    'hidden_act',
    'is_decoder',
    'auto_map',
    'rope_theta',
    'id2label',
    'tie_word_embeddings',
  ]) {
    expect(neutralConfigKeys).not.toHaveProperty(key);
  }
});
