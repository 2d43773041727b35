import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/text/json-fields.ts';
import { assemblePair, decodePairLayout, pairLimits } from '../../src/text/pair-layout.ts';
import type { TextTokens } from '../../src/text/tokenizer-protocol.ts';

const layout = { before: [0], between: [2, 2], after: [2] };

/** A text of `count` tokens, of which at most `keep` are there. */
function tokens(count: number, from: number, keep = count): TextTokens {
  return { ids: Int32Array.from({ length: Math.min(count, keep) }, (_, i) => from + i), tokenCount: count };
}

/** FlagEmbedding's rule, taken literally: cut each part alone, then drop document tokens until the pair fits. */
function reference(queryTokens: number, documentTokens: number, maxLength: number): { ids: number[]; removed: number } {
  const query = [...tokens(queryTokens, 1000).ids].slice(0, Math.floor((maxLength * 3) / 4));
  const document = [...tokens(documentTokens, 5000).ids].slice(0, maxLength);
  const pair = (): number[] => [0, ...query, 2, 2, ...document, 2];
  while (pair().length > maxLength) document.pop();
  return { ids: pair(), removed: queryTokens + documentTokens - query.length - document.length };
}

describe.each([16, 17, 64, 512])('limit %i', (maxLength) => {
  const threeQuarters = Math.floor((maxLength * 3) / 4);
  const queries = [0, 1, threeQuarters - 1, threeQuarters, threeQuarters + 1, maxLength, 3 * maxLength];
  test.each(queries)('query of %i tokens, documents on both sides of every boundary', (queryTokens) => {
    const room = maxLength - 4 - Math.min(queryTokens, threeQuarters);
    for (const count of [0, 1, room - 1, room, room + 1, maxLength - 1, maxLength, maxLength + 1, 5 * maxLength]) {
      if (count < 0) continue;
      const expected = reference(queryTokens, count, maxLength);
      const pair = assemblePair(
        tokens(queryTokens, 1000, maxLength),
        tokens(count, 5000, maxLength),
        layout,
        pairLimits(maxLength, layout),
      );
      expect([...pair.ids], `query ${queryTokens}, document ${count}`).toEqual(expected.ids);
      expect(pair.truncatedTokens).toBe(expected.removed);
      expect(pair.ids.length).toBeLessThanOrEqual(maxLength);
    }
  });
});

test('the smallest limits keep the special tokens', () => {
  for (const maxLength of [5, 6, 7, 8, 12]) {
    const pair = assemblePair(tokens(9, 10, 9), tokens(9, 50, 9), layout, pairLimits(maxLength, layout));
    expect(pair.ids.length).toBe(maxLength);
    expect(pair.truncatedTokens).toBe(18 - (maxLength - 4));
    expect([pair.ids[0], pair.ids.at(-1)]).toEqual([0, 2]);
  }
});

const find = (content: string): number => ['<s>', '<pad>', '</s>'].indexOf(content);

describe('post_processor', () => {
  const template = {
    type: 'TemplateProcessing',
    single: [],
    pair: ['<s>', 'A', '</s>', '</s>', 'B', '</s>'].map((id) =>
      id.length === 1 ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } },
    ),
    special_tokens: {
      '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] },
      '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
    },
  };

  test('template, RoBERTa and names in the configs give the same layout', () => {
    expect(decodePairLayout(template, [], find)).toEqual(layout);
    expect(decodePairLayout({ type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] }, [], find)).toEqual(
      layout,
    );
    expect(decodePairLayout(null, [{ cls_token: '<s>', sep_token: { content: '</s>' } }], find)).toEqual(layout);
    expect(decodePairLayout(undefined, [{}, { bos_token: '<s>', eos_token: '</s>' }], find)).toEqual(layout);
  });

  test.each<[string, unknown, JsonObject[]]>([
    ['another processor', { type: 'BertProcessing', sep: ['</s>', 2], cls: ['<s>', 0] }, []],
    ['B before A', { ...template, pair: template.pair.toReversed() }, []],
    ['no B', { ...template, pair: template.pair.slice(0, 3) }, []],
    ['an unknown special token', { ...template, special_tokens: {} }, []],
    ['a special token of the prototype', { ...template, pair: [{ SpecialToken: { id: 'toString', type_id: 0 } }] }, []],
    ['an id that is none', { type: 'RobertaProcessing', sep: ['</s>', -2], cls: ['<s>', 0] }, []],
    ['nothing at all', null, [{}]],
  ])('refuses %s', (_, processor, configs) => {
    expect(() => decodePairLayout(processor, configs, find)).toThrow(
      expect.objectContaining({ code: 'tokenizer-invalid' }),
    );
  });
});
