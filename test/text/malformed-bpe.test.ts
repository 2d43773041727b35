import { describe, expect, test } from 'vitest';

import { WgrankError } from '../../src/errors.ts';
import { ExactTokenizer } from '../../src/text/exact-tokenizer.ts';
import { readTokenizerJson, type TokenizerFile } from '../../src/text/tokenizer-json.ts';
import { bpeFormText } from './forms.ts';

const text = bpeFormText('merges');
type Loose = Record<string, any>;

const read = (file: string | Uint8Array): TokenizerFile =>
  readTokenizerJson(typeof file === 'string' ? new TextEncoder().encode(file) : file, []);

/** Text that visits every step. */
const probe = "<s>= don't Ａ é\u0301 ab---== 字号 \u3000\r\n x 12😀\u200d\0";

/** The merges form with a change. */
function changed(change: (file: Loose) => void): string {
  const file = JSON.parse(text) as Loose;
  change(file);
  return JSON.stringify(file);
}

const model = (change: (model: Loose) => void): string => changed((file) => change(file['model'] as Loose));
const split = (change: (step: Loose) => void): string =>
  changed((file) => change(file['pre_tokenizer'].pretokenizers[0]));
const bytes = (change: (step: Loose) => void): string =>
  changed((file) => change(file['pre_tokenizer'].pretokenizers[1]));

const mutants: [string, string, RegExp][] = [
  ['a file cut inside the vocabulary', text.slice(0, text.indexOf('"vocab"') + 200), /at byte/],
  ['a file cut inside the merges', text.slice(0, text.indexOf('"merges"') + 200), /ends inside/],
  ['no vocabulary', model((m) => delete m['vocab']), /vocab or merges is missing/],
  ['no merges', model((m) => delete m['merges']), /vocab or merges is missing/],
  ['merges before a vocabulary that lacks them', `{"model":{"type":"BPE","merges":[["a","b"]],"vocab":{}}}`, /byte 0/],
  ['a vocabulary without one byte', model((m) => delete m['vocab']['Ġ']), /no piece for byte 32/],
  ['a vocabulary that is a list', model((m) => (m['vocab'] = [['a', 0]])), /expected \{/],
  ['a piece that comes twice', text.replace('"vocab":{', () => '"vocab":{"a":1,"a":2,'), /comes twice/],
  ['a piece of 257 units', model((m) => (m['vocab']['a'.repeat(257)] = 9999)), /257 UTF-16 units/],
  ['an id that is huge', model((m) => (m['vocab']['a'] = 2 ** 30)), /not a token id/],
  ['an id of 400 digits', text.replace(/"a":\d+/, () => `"a":${'1'.repeat(400)}`), /whole number/],
  ['an id below zero', model((m) => (m['vocab']['a'] = -1)), /whole number/],
  ['an id that is a fraction', model((m) => (m['vocab']['a'] = 1.5)), /expected \}/],
  ['an id that is a text', model((m) => (m['vocab']['a'] = '1')), /whole number/],
  ['a merge that comes twice', model((m) => m['merges'].push(m['merges'][0])), /merge \d+ comes twice/],
  ['a merge of an unknown piece', model((m) => m['merges'].push(['a', 'nothing'])), /the vocabulary lacks/],
  ['a merge that makes an unknown piece', model((m) => m['merges'].push(['a', 'Ġ'])), /the vocabulary lacks/],
  ['a merge of nothing', model((m) => m['merges'].push(['', 'a'])), /the vocabulary lacks/],
  ['a merge longer than every piece', model((m) => m['merges'].push(['a'.repeat(1e5), 'b'])), /the vocabulary lacks/],
  ['a merge of one piece', model((m) => m['merges'].push('ab')), /not two pieces/],
  ['a merge of three pieces', model((m) => m['merges'].push('a b a')), /not two pieces/],
  ['a merge of three in a list', model((m) => m['merges'].push(['a', 'b', 'a'])), /expected \]/],
  ['a merge that is a number', model((m) => m['merges'].push(7)), /expected "/],
  ['merges that are an object', model((m) => (m['merges'] = {})), /expected \[/],
  ['dropout', model((m) => (m['dropout'] = 0.1)), /dropout 0.1 is not supported/],
  ['a prefix of inner pieces', model((m) => (m['continuing_subword_prefix'] = '##')), /continuing_subword_prefix "##"/],
  ['a suffix of words', model((m) => (m['end_of_word_suffix'] = '</w>')), /end_of_word_suffix/],
  ['a setting nobody knows', model((m) => (m['flavour'] = 'salt')), /flavour "salt"/],
  ['ignore_merges that is a text', model((m) => (m['ignore_merges'] = 'yes')), /ignore_merges "yes"/],
  ['another regular expression', split((s) => (s['pattern'] = { Regex: '^(a+)+$' })), /\^\(a\+\)\+\$.*not supported/],
  ['a pattern that is a text', split((s) => (s['pattern'] = { String: ' ' })), /not supported/],
  ['another behaviour', split((s) => (s['behavior'] = 'Removed')), /"Removed"/],
  ['an inverted pattern', split((s) => (s['invert'] = true)), /invert true/],
  ['ByteLevel with a space in front', bytes((s) => (s['add_prefix_space'] = true)), /add_prefix_space true/],
  ['ByteLevel with its own pattern', bytes((s) => delete s['use_regex']), /use_regex true/],
  [
    'BPE without ByteLevel',
    changed((file) => (file['pre_tokenizer'] = file['pre_tokenizer'].pretokenizers[0])),
    /must be the last step/,
  ],
  [
    'ByteLevel before another step',
    changed((file) => file['pre_tokenizer'].pretokenizers.push({ type: 'WhitespaceSplit' })),
    /the last step/,
  ],
  ['an unknown normaliser', changed((file) => (file['normalizer'] = { type: 'NFKC' })), /"NFKC" is not supported/],
  ['an added token with another id', changed((file) => (file['added_tokens'][0].id = 1)), /has id 1/],
  [
    'another post-processor',
    changed((file) => (file['post_processor'] = { type: 'BertProcessing' })),
    /"BertProcessing"/,
  ],
  [
    'a post-processor inside itself',
    changed((file) => file['post_processor'].processors.push({ type: 'Sequence', processors: [] })),
    /Sequence inside/,
  ],
  [
    'two templates',
    changed((file) => file['post_processor'].processors.push(file['post_processor'].processors[1])),
    /more than one template/,
  ],
  [
    'a template without the text',
    changed((file) => file['post_processor'].processors[1].single.pop()),
    /post_processor.single: it holds the sequences "" \(expected A\)/,
  ],
];

describe(`${mutants.length} malformed BPE files`, () => {
  test('the unchanged file is fine, in either spelling of merges', () => {
    const expected = new ExactTokenizer(read(text).parts).encode(probe);
    const spelt = model((m) => (m['merges'] = m['merges'].map((pair: string[]) => pair.join(' '))));
    expect(new ExactTokenizer(read(spelt).parts).encode(probe)).toEqual(expected);
    const reordered = changed((file) => {
      const { merges, ...rest } = file['model'] as Loose;
      file['model'] = { merges, ...rest };
    });
    expect(new ExactTokenizer(read(reordered).parts).encode(probe)).toEqual(expected);
    expect(read(text).layout).toEqual({ kind: 'single', before: [read(text).parts.addedTokens[0]!.id], after: [] });
  });

  test.each(mutants)('%s', (_, file, message) => {
    expect(() => read(file)).toThrow(
      expect.objectContaining({ code: 'tokenizer-invalid', message: expect.stringMatching(message) as string }),
    );
  });
});

test('random damage gives a tokenizer or a named error, quickly', () => {
  const whole = new TextEncoder().encode(text);
  const seed = 815;
  let state = seed;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 4) % below;
  };
  let accepted = 0;
  for (let round = 0; round < 1500; round += 1) {
    const damaged = Uint8Array.from(whole);
    for (let count = 1 + draw(2); count > 0; count -= 1)
      damaged[draw(whole.length)] = draw(3) === 0 ? draw(128) : '{}[]",:\\0-9eE.tfn '.charCodeAt(draw(17));
    const label = `seed ${seed}, round ${round}`;
    try {
      const ids = new ExactTokenizer(read(damaged).parts).encode(probe);
      expect(
        ids.every((id) => Number.isInteger(id) && id >= 0),
        label,
      ).toBe(true);
      accepted += 1;
    } catch (error) {
      expect(error, label).toBeInstanceOf(WgrankError);
      expect((error as WgrankError).code, label).toBe('tokenizer-invalid');
    }
  }
  expect(accepted, `seed ${seed}: damage that leaves a usable file`).toBeGreaterThan(10);
});
