import { describe, expect, test } from 'vitest';

import { WgrankError } from '../../src/errors.ts';
import { ExactTokenizer } from '../../src/text/exact-tokenizer.ts';
import { readTokenizerJson, type TokenizerFile } from '../../src/text/tokenizer-json.ts';
import { formText } from './forms.ts';

const text = formText('ties');
type Loose = Record<string, any>;

function read(file: string | Uint8Array): TokenizerFile {
  return readTokenizerJson(typeof file === 'string' ? new TextEncoder().encode(file) : file, []);
}

/** Text that visits every step. */
const probe = '<s> Ａﬁ e\u0301か\u3099 ab---== 字号 \u3000<mask>😀\u200d™\u0301\0';

/** The ties form with a change. */
function changed(change: (file: Loose) => void): string {
  const file = JSON.parse(text) as Loose;
  change(file);
  return JSON.stringify(file);
}

/** The charsmap with a change to its bytes. */
function withCharsmap(change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): string {
  return changed((file) => {
    const bytes = new Uint8Array(Buffer.from(file['normalizer'].precompiled_charsmap, 'base64'));
    file['normalizer'].precompiled_charsmap = Buffer.from(change(bytes)).toString('base64');
  });
}

const token = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
const vocabularyOf = (...pieces: string[]): string =>
  text.replace(/"vocab":\[.*?\]\]/, () => `"vocab":[${pieces.join(',')}]`);

const mutants: [string, string | Uint8Array, RegExp][] = [
  ['an empty file', '', /expected \{/],
  ['a list', '[]', /expected \{/],
  ['a byte order mark', `\ufeff${text}`, /expected \{/],
  ['a cut file', text.slice(0, -20), /ends inside|expected/],
  ['a file cut inside the vocabulary', text.slice(0, text.indexOf('"vocab"') + 200), /at byte/],
  ['something behind the object', `${text} {}`, /behind the end/],
  ['a key twice', text.replace('"version"', '"model":{},"version"'), /comes twice|type undefined/],
  ['a million nested lists', `{"decoder":${'['.repeat(1e6)}`, /nested more than 128/],
  ['a misspelt section', text.replace('"normalizer"', '"normaliser"'), /"normaliser" is not a section/],
  ['another version', changed((file) => (file['version'] = '2.0')), /version: "2.0"/],
  ['no model', changed((file) => delete file['model']), /model: it is missing/],
  [
    'a BPE model without bytes',
    changed((file) => (file['model'] = { type: 'BPE', vocab: { a: 0 }, merges: [] })),
    /byte 0/,
  ],
  ['a WordPiece type with pairs', changed((file) => (file['model'].type = 'WordPiece')), /"WordPiece"/],
  ['an empty vocabulary', vocabularyOf(), /unk_id 3/],
  ['no unk_id', changed((file) => delete file['model'].unk_id), /unk_id undefined/],
  ['unk_id null', changed((file) => (file['model'].unk_id = null)), /unk_id null/],
  ['unk_id behind the vocabulary', changed((file) => (file['model'].unk_id = 2 ** 31)), /unk_id 2147483648/],
  ['unk_id that is no integer', changed((file) => (file['model'].unk_id = 1.5)), /unk_id 1.5/],
  ['byte_fallback that is no boolean', changed((file) => (file['model'].byte_fallback = 'yes')), /byte_fallback "yes"/],
  ['a score that is a text', vocabularyOf('["a","-1"]'), /expected a number/],
  ['a score out of range', vocabularyOf('["a",1e400]'), /out of range/],
  ['a score NaN', vocabularyOf('["a",NaN]'), /expected a number/],
  ['a piece without a score', vocabularyOf('["a"]'), /expected ,/],
  ['a piece with three fields', vocabularyOf('["a",1,2]'), /expected \]/],
  ['a piece that is a number', vocabularyOf('[1,1]'), /expected "/],
  ['a piece of 257 units', vocabularyOf(`["${'a'.repeat(257)}",1]`), /257 UTF-16 units/],
  ['half a surrogate pair in a piece', vocabularyOf('["\\ud800",1]'), /surrogate/],
  ['a bad escape in a piece', vocabularyOf('["\\x41",1]'), /malformed JSON/],
  ['a raw newline in a piece', vocabularyOf('["a\nb",1]'), /control character/],
  ['an unknown normaliser', changed((file) => (file['normalizer'] = { type: 'NFKC' })), /"NFKC" is not supported/],
  ['a normaliser without type', changed((file) => (file['normalizer'] = {})), /is not supported/],
  ['a normaliser that is a list', changed((file) => (file['normalizer'] = [])), /not an object/],
  [
    'a sequence with null',
    changed((file) => (file['normalizer'] = { type: 'Sequence', normalizers: [null] })),
    /not an object/,
  ],
  ['a sequence without steps', changed((file) => (file['normalizer'] = { type: 'Sequence' })), /not a list/],
  [
    'two charsmaps',
    changed(
      (file) => (file['normalizer'] = { type: 'Sequence', normalizers: [file['normalizer'], file['normalizer']] }),
    ),
    /more than one/,
  ],
  [
    'a regex that backtracks',
    changed((file) => (file['normalizer'] = { type: 'Replace', pattern: { Regex: '^(a+)+$' }, content: '' })),
    /not supported/,
  ],
  [
    'an empty pattern',
    changed((file) => (file['normalizer'] = { type: 'Replace', pattern: { String: '' }, content: '' })),
    /not supported/,
  ],
  [
    'a replacement that lengthens',
    changed((file) => (file['normalizer'] = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' })),
    /longer than/,
  ],
  [
    'a thousand steps',
    changed(
      (file) =>
        (file['pre_tokenizer'] = {
          type: 'Sequence',
          pretokenizers: Array.from({ length: 1000 }, () => ({ type: 'WhitespaceSplit' })),
        }),
    ),
    /1000 steps/,
  ],
  [
    'a charsmap that is not base64',
    changed((file) => (file['normalizer'].precompiled_charsmap = 'ab*=')),
    /not canonical base64/,
  ],
  ['an empty charsmap', changed((file) => (file['normalizer'].precompiled_charsmap = '')), /0 bytes/],
  ['a charsmap shorter than its trie', withCharsmap((bytes) => bytes.subarray(0, 1000)), /does not fit/],
  ['a charsmap without trie', withCharsmap(() => new Uint8Array(8)), /trie is empty/],
  ['a charsmap with broken texts', withCharsmap((bytes) => bytes.fill(0xff, -50)), /not UTF-8/],
  [
    'a charsmap without texts',
    withCharsmap((bytes) => bytes.subarray(0, 4 + new DataView(bytes.buffer).getUint32(0, true))),
    /replaces by the text/,
  ],
  [
    'a charsmap that leaves its trie',
    withCharsmap((bytes) => (new DataView(bytes.buffer).setUint32(4, 0x7ffffc00, true), bytes)),
    /leads to state/,
  ],
  [
    'a charsmap with one endless text',
    withCharsmap((bytes) => bytes.fill(0x41, 4 + new DataView(bytes.buffer).getUint32(0, true))),
    /longer than 256 bytes/,
  ],
  ['an unknown pre-tokeniser', changed((file) => (file['pre_tokenizer'] = { type: 'ByteLevel' })), /"ByteLevel"/],
  [
    'Metaspace for the first word only',
    changed((file) => (file['pre_tokenizer'] = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' })),
    /"first"/,
  ],
  [
    'Metaspace at odds with itself',
    changed((file) => (file['pre_tokenizer'] = { type: 'Metaspace', replacement: '▁', add_prefix_space: false })),
    /does not fit/,
  ],
  [
    'Metaspace without a mark',
    changed((file) => (file['pre_tokenizer'] = { type: 'Metaspace', replacement: '' })),
    /not one character/,
  ],
  ['an added token that is empty', changed((file) => (file['added_tokens'][0].content = '')), /0 UTF-16 units/],
  [
    'an added token without flags',
    changed((file) => (file['added_tokens'] = [{ id: 0, content: '<s>' }])),
    /neither true nor false/,
  ],
  ['an added token with another id', changed((file) => (file['added_tokens'][0].id = 1)), /has id 1/],
  ['an added token with id 2^31', changed((file) => (file['added_tokens'][0].id = 2 ** 31)), /not a token id/],
  [
    'an added token far behind the vocabulary',
    changed((file) => file['added_tokens'].push({ ...token, id: 9999, content: '<x>' })),
    /has id 9999/,
  ],
  ['an added token twice', changed((file) => file['added_tokens'].push(file['added_tokens'][0])), /comes twice/],
  ['an added token for whole words', changed((file) => (file['added_tokens'][0].single_word = true)), /single_word/],
  [
    'an added token that normalises to nothing',
    vocabularyOf('["\\u200b",0]')
      .replace(
        /"added_tokens":\[.*?\}\]/,
        () => `"added_tokens":[${JSON.stringify({ ...token, id: 0, content: '\u0008', normalized: true })}]`,
      )
      .replace('"\\u200b"', '"\\b"')
      .replace('"unk_id":3', '"unk_id":0'),
    /empty after normalisation/,
  ],
  ['added tokens that are an object', changed((file) => (file['added_tokens'] = {})), /not a list/],
  ['another post-processor', changed((file) => (file['post_processor'] = { type: 'ByteLevel' })), /post_processor/],
  [
    'a post-processor that names itself',
    changed((file) => (file['post_processor'] = { type: 'Sequence', processors: [{ type: 'Sequence' }] })),
    /post_processor/,
  ],
  ['no post-processor and no config', changed((file) => (file['post_processor'] = null)), /names a cls_token/],
];

describe(`${mutants.length} malformed tokenizer.json files`, () => {
  test('the unchanged file is fine', () => {
    read(text);
    read(changed(() => {}));
  });

  test.each(mutants)('%s', (_, file, message) => {
    expect(() => read(file)).toThrow(
      expect.objectContaining({ code: 'tokenizer-invalid', message: expect.stringMatching(message) as string }),
    );
  });
});

test('random damage gives a tokenizer or a named error, quickly', () => {
  const bytes = new TextEncoder().encode(text);
  const charsmapAt = text.indexOf('precompiled_charsmap');
  const seed = 4711;
  let state = seed;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 4) % below;
  };
  // Places outside of the charsmap, where nearly every byte counts, and some inside.
  const places = [...Array(charsmapAt + 24).keys(), ...Array.from({ length: 9000 }, (_, i) => bytes.length - 1 - i)];
  let accepted = 0;
  for (let round = 0; round < 400; round += 1) {
    const damaged = Uint8Array.from(bytes);
    for (let count = 1 + draw(3); count > 0; count -= 1) {
      const at = draw(8) === 0 ? draw(bytes.length) : places[draw(places.length)]!;
      damaged[at] = draw(3) === 0 ? draw(128) : '{}[]",:\\0-9eE.tfn '.charCodeAt(draw(17));
    }
    const label = `seed ${seed}, round ${round}`;
    const started = performance.now();
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
    expect(performance.now() - started, label).toBeLessThan(2000);
  }
  expect(accepted, `seed ${seed}: damage that leaves a usable file`).toBeGreaterThan(20);
});
