import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HttpRefusal } from '../../src/server/error-answer.ts';
import { type BodyLimits } from '../../src/server/json-body.ts';
import { parseJson } from '../../src/server/json-parse.ts';

const roomy: BodyLimits = { maxBodyBytes: 1e9, maxJsonDepth: 1e6, maxJsonKeys: 1e6, maxJsonValues: 1e6 };
const bytesOf = (text: string) => new TextEncoder().encode(text);

// Strings full of what the scan has to jump over.
const trickyText = fc.string({
  unit: fc.constantFrom('"', '\\', '[', '{', '}', ']', ':', ',', 'a', '漢', '\n'),
  maxLength: 12,
});
const jsonValue = fc.oneof(
  fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }),
  fc.json().map((text): unknown => JSON.parse(text)),
);
const { value: trickyValue } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, trickyText, fc.integer(), tie('list'), tie('record')),
  list: fc.array(tie('value'), { maxLength: 4 }),
  record: fc.dictionary(trickyText, tie('value'), { maxKeys: 4 }),
}));

/** The plain definition of what the scan counts on bytes. */
function measure(value: unknown): { depth: number; keys: number; commas: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, keys: 0, commas: 0 };
  const inner = Object.values(value).map(measure);
  const sum = (pick: 'keys' | 'commas') => inner.reduce((total, item) => total + item[pick], 0);
  return {
    depth: 1 + Math.max(0, ...inner.map((item) => item.depth)),
    keys: sum('keys') + (Array.isArray(value) ? 0 : inner.length),
    commas: sum('commas') + Math.max(0, inner.length - 1),
  };
}

test('any JSON comes out as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.oneof(jsonValue, trickyValue), fc.constantFrom(0, 1, 4), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(parseJson(bytesOf(text), roomy)).toEqual(JSON.parse(text));
    }),
  );
});

test('every limit is exact', () => {
  fc.assert(
    fc.property(trickyValue, (value) => {
      const bytes = bytesOf(JSON.stringify(value));
      const { depth, keys, commas } = measure(value);
      const exact = { ...roomy, maxJsonDepth: depth, maxJsonKeys: keys, maxJsonValues: commas + 1 };
      expect(parseJson(bytes, exact)).toEqual(value);
      if (depth > 0) expect(() => parseJson(bytes, { ...exact, maxJsonDepth: depth - 1 })).toThrow('nested deeper');
      if (keys > 0) expect(() => parseJson(bytes, { ...exact, maxJsonKeys: keys - 1 })).toThrow('object keys');
      if (commas > 0) expect(() => parseJson(bytes, { ...exact, maxJsonValues: commas })).toThrow('values');
    }),
  );
});

test('broken bytes are refused with 400 and nothing else', () => {
  const frame = bytesOf('{"query":"q\\"\\\\","documents":["a",[{"type":"text","text":"漢"}]],"top_n":1}');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(frame.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.nat(frame.length),
      (edits, length) => {
        const bytes = frame.slice(0, length);
        for (const [at, byte] of edits) if (at < length) bytes[at] = byte;
        try {
          parseJson(bytes, roomy);
        } catch (error) {
          expect(error).toBeInstanceOf(HttpRefusal);
          expect((error as HttpRefusal).status).toBe(400);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
