import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSafetensors, preambleBytes, readHeaderLength } from '../../src/checkpoint/safetensors.ts';
import type { StoredTensor } from '../../src/checkpoint/safetensors-header.ts';
import { WgrankError } from '../../src/errors.ts';
import { buildSafetensors, frameHeader } from './build-safetensors.ts';

interface Case {
  readonly name: string;
  readonly bytes: string;
  readonly zeros: number;
  /** Tensors that the reference finds, or null when it refuses. */
  readonly reference: number | null;
  /** Why wgrank refuses what the reference accepts. */
  readonly stricter?: string;
}

const corpus = JSON.parse(readFileSync(new URL('fixtures/safetensors-corpus.json', import.meta.url), 'utf8')) as {
  safetensors: string;
  cases: Case[];
};

function read(bytes: Uint8Array): ReadonlyMap<string, StoredTensor> {
  const length = readHeaderLength(bytes.subarray(0, preambleBytes), bytes.length, 'dir/m.safetensors');
  return parseSafetensors(bytes.subarray(8, 8 + length), bytes.length, 'dir/m.safetensors').tensors;
}

function readHeader(header: string, dataBytes = 0): ReadonlyMap<string, StoredTensor> {
  return read(frameHeader(header, dataBytes));
}

function f32(shape: string, begin: number, end: number): string {
  return `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Parses in bounded time. Generous: the rule is 1 s per 10 MB on an idle machine, and tests share theirs. */
function parseInTime(header: Uint8Array, dataBytes: number): string {
  const started = performance.now();
  let result: string;
  try {
    result = `${parseSafetensors(header, 8 + header.length + dataBytes, 'm').tensors.size} tensors`;
  } catch (error) {
    result = String(error);
  }
  expect(performance.now() - started).toBeLessThan(2000);
  return result;
}

describe(`verdicts of the reference reader, safetensors ${corpus.safetensors}`, () => {
  it.each(corpus.cases)('$name', ({ bytes, zeros, reference, stricter }) => {
    const file = Buffer.concat([Buffer.from(bytes, 'base64'), Buffer.alloc(zeros)]);
    if (reference !== null && stricter === undefined) {
      expect(read(file).size).toBe(reference);
    } else {
      let error: unknown;
      try {
        read(file);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(WgrankError);
      expect(error).toMatchObject({ code: 'checkpoint-invalid' });
    }
  });

  it('differs only by the documented stricter rules', () => {
    expect([...new Set(corpus.cases.flatMap(({ stricter }) => stricter ?? []))].toSorted()).toEqual([
      'a dtype is a string',
      'a tensor is an object',
      'at most 64 axes',
      'metadata is an object',
      'no duplicate names',
      'only dtype, shape, data_offsets',
      'sizes stay within 2^53-1 bits',
      'the header begins with {',
    ]);
  });
});

describe('what the reader says', () => {
  it.each([
    ['{"w":{"dtype":"F33"}}', 0, /"dir\/m\.safetensors": tensor "w": unknown dtype "F33" \(one of F64, F32,/],
    [
      `{"w":${f32('[2,-0]', 0, 8)}}`,
      8,
      /tensor "w": a size in shape is "-0" \(a whole number of at most 2\^53-1 without sign/,
    ],
    [`{"w":${f32('[2,1e3]', 0, 8)}}`, 8, /tensor "w": a size in shape is "1e3"/],
    [`{"w":${f32('[9007199254740993]', 0, 8)}}`, 8, /is "9007199254740993"/],
    [`{"w":${f32('[2,2]', 0, 12)}}`, 12, /tensor "w": data_offsets \[0, 12\] span 12 bytes, but F32\[2, 2\] takes 16/],
    [`{"w":${f32('[4294967296,4294967296]', 0, 8)}}`, 8, /F32\[4294967296, 4294967296\] overflows/],
    [`{"w":${f32('[1]', 0, 4)},"w":${f32('[1]', 4, 8)}}`, 8, /tensor "w": the name occurs twice/],
    [
      `{"v":${f32('[1]', 0, 4)},"w":${f32('[1]', 6, 10)}}`,
      10,
      /tensor "w" begins at byte 6 and leaves a hole of 2 bytes after "v", which ends at 4/,
    ],
    [
      `{"v":${f32('[1]', 0, 4)},"w":${f32('[1]', 2, 6)}}`,
      6,
      /tensor "w" begins at byte 2 and overlaps by 2 bytes "v", which ends at 4/,
    ],
    [
      `{"w":${f32('[1]', 4, 8)}}`,
      8,
      /tensor "w" begins at byte 4 and leaves a hole of 4 bytes after the start of the data/,
    ],
    [
      '{"w":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}',
      1,
      /tensor "w": F4\[3\] takes 12 bits, no whole number of bytes/,
    ],
    [`{"w":${f32('[1]', 8, 4)}}`, 8, /tensor "w": data_offsets \[8, 4\] run backwards/],
    [`{"w":${f32('[3]', 0, 12)}}`, 8, /the tensors end at byte 12 of the data, but the file has 8 \(4 are missing\)/],
    [`{"w":${f32('[1]', 0, 4)}}`, 8, /the tensors end at byte 4 of the data, but the file has 8 \(4 belong to none\)/],
    ['{"w":{"dtype":"F32","shape":[]}}', 0, /tensor "w": data_offsets is missing/],
    ['{"w":{"dtype":"F32","dtype":"F32"}}', 0, /tensor "w": dtype occurs twice/],
    ['{"w":{"strides":[1]}}', 0, /tensor "w": unknown field "strides" \(one of dtype, shape, data_offsets\)/],
    ['{"w":[]}', 0, /tensor "w": expected an object, found an array \(byte 5\)/],
    ['{"__metadata__":{"a":1}}', 0, /header: expected a string as value in __metadata__, found a number/],
    ['{"a\\ud800":1}', 0, /header: a key holds a lone surrogate/],
    ['{"a\n":1}', 0, /header: a key holds the raw control character 0x0a/],
    ['{} {', 0, /header: expected nothing more after the closing brace, found an object/],
    ['[]', 0, /the header does not begin with '\{'/],
  ])('%s', (header, dataBytes, message) => {
    expect(() => readHeader(header, dataBytes)).toThrow(message);
  });

  it('names lengths that do not fit the file', () => {
    expect(() => read(new Uint8Array(5))).toThrow(/5 bytes long \(a safetensors file has at least 8\)/);
    expect(() => read(frameHeader('{}', 0, 3n))).toThrow(
      /header of 3 bytes in a file of 10 \(truncated, or no safetensors file\)/,
    );
    expect(() => read(frameHeader('{}', 0, 2n ** 64n - 1n))).toThrow(
      /header of 18446744073709551615 bytes \(at most 100000000\)/,
    );
  });

  it('escapes and cuts names from the file', () => {
    expect(() => readHeader('{"\\u001b[31m\\u0000":0}')).toThrow('tensor "\\u001b[31m\\u0000": ');
    expect(() => readHeader(`{"${'x'.repeat(5000)}":0}`)).toThrow(/"x{100}"… \(5000 characters\)/);
  });
});

describe('what the reader returns', () => {
  it('keeps header order, places and odd names', () => {
    const tensors = read(
      buildSafetensors({
        b: { dtype: 'BF16', shape: [2, 3] },
        'a b': { dtype: 'I64', shape: [] },
        a: { dtype: 'F32', shape: [0, 4] },
        é: { dtype: 'F4', shape: [6] },
      }),
    );
    expect([...tensors.values()]).toEqual([
      { name: 'b', dtype: 'BF16', shape: [2, 3], byteLength: 12, begin: 0 },
      { name: 'a b', dtype: 'I64', shape: [], byteLength: 8, begin: 12 },
      { name: 'a', dtype: 'F32', shape: [0, 4], byteLength: 0, begin: 20 },
      { name: 'é', dtype: 'F4', shape: [6], byteLength: 3, begin: 20 },
    ]);
  });

  it('takes __proto__ as a name like any other', () => {
    const tensors = readHeader('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1);
    expect(tensors.get('__proto__')?.byteLength).toBe(1);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
  });
});

describe('size of the work', () => {
  it('reads 100,000 tensors in any order', () => {
    const entries = Array.from({ length: 100_000 }, (_, n) => {
      const i = (n * 7919) % 100_000;
      return `"layers.${i}.w":{"dtype":"F16","shape":[1],"data_offsets":[${2 * i},${2 * i + 2}]}`;
    });
    const header = encode(`{${entries.join(',')}}`);
    expect(parseInTime(header, 200_000)).toBe('100000 tensors');
  });

  it.each([
    ['one open string', `{"${'a'.repeat(10_000_000)}`, /a key is not closed/],
    ['backslashes', `{"${'\\'.repeat(10_000_000)}`, /a key is not closed/],
    ['spaces', `{${' '.repeat(10_000_000)}`, /expected a key, found the end/],
    [
      'one long number',
      `{"a":{"shape":[${'1'.repeat(10_000_000)}`,
      /a size in shape is "1{100}"… \(10000000 characters\)/,
    ],
    ['many axes', `{"a":{"shape":[${'0,'.repeat(5_000_000)}`, /shape has more than 64 axes/],
    ['nesting', '{"a":'.repeat(2_000_000), /tensor "a": unknown field "a"/],
    [
      'much metadata',
      `{"__metadata__":{${Array.from({ length: 100_000 }, (_, i) => `"${i}":""`).join(',')}}}`,
      /more than 65536 entries/,
    ],
  ])('refuses %s', (_, text, message) => {
    expect(parseInTime(encode(text), 0)).toMatch(message);
  });
});
