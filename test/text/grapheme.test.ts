import { expect, test } from 'vitest';

import { clusterEnd } from '../../src/text/grapheme.ts';

function clusters(text: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = clusterEnd(text, at);
    found.push(text.slice(at, end));
    at = end;
  }
  return found;
}

// One row per rule of Unicode Standard Annex 29; the bar marks the boundaries.
test.each([
  ['GB3 GB4 GB5', '\r\n|\r|\r\n|\n|a|\u0000|\u0301'],
  ['GB6 GB7 GB8', '\u1100\u1100\u1161\u11a8|\u1100\uac00\u11a8|\uac01\u11a8|\u1161\u11a8|\uac01|\u1161|\uac00'],
  ['GB9', 'e\u0301\u0302|\u0020\u0308|a\u200d|b'],
  ['GB9a GB9b', '\u0915\u0903|\u0e01\u0e33|\u0600a|\u0600\u0601\u0661|\u0600\u0020'],
  ['GB9c', '\u0915\u094d\u0937|\u0915\u094d\u200d\u0937|\u0915\u093c|\u0937|\u0915\u094d|a|\u0915\u200d|\u0937'],
  ['GB11', '😀\u200d😀|😀\u0301\u200d🐼|😀\u200d\u200d|😀|a\u200d|😀|👨‍👩‍👧‍👦|©\u200d®'],
  ['GB12 GB13', '🇩🇪|🇫🇷|🇯|a|🇩🇪|🇫\u0301|🇷'],
  ['GB999', 'a|字|😀|\u1780\u17d2\u1780|\u1780'],
])('%s', (_, marked) => {
  expect(clusters(marked.replaceAll('|', ''))).toEqual(marked.split('|'));
});

// The table is that of Unicode 17.0; an ICU of another version would differ rightly.
test.skipIf(process.versions['unicode'] !== '17.0')(
  'random texts are cut as ICU cuts them (needs Unicode 17.0)',
  () => {
    const points = [0x61, 0x0d, 0x0a, 0x301, 0x93c, 0x94d, 0x915, 0x200d, 0x1f600, 0xa9, 0x2122, 0x1f1e6, 0x600, 0x903];
    points.push(0x1100, 0x1161, 0x11a8, 0xac00, 0xac01, 0x1f3fb, 0xfe0f, 0x1039, 0x1000, 0x110bd, 0x17d2, 0x1780);
    const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
    let state = 20_26;
    const draw = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let round = 0; round < 20_000; round += 1) {
      let text = '';
      for (let count = 1 + draw(10); count > 0; count -= 1) {
        const any = 0xe000 + draw(0x12000);
        text += String.fromCodePoint(draw(4) > 0 ? points[draw(points.length)]! : draw(2) > 0 ? any : draw(0xd800));
      }
      const expected = Array.from(segmenter.segment(text), ({ segment }) => segment);
      expect(clusters(text), `round ${round}: ${JSON.stringify(text)}`).toEqual(expected);
    }
  },
);
