import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { roundHalfEven, smartResizeImage } from '../../src/media/smart-resize.ts';

const script = { factor: 32, minPixels: 4096, maxPixels: 1_843_200 };
const reranker = { factor: 32, minPixels: 4096, maxPixels: 1_310_720 };
const base = { factor: 32, minPixels: 65_536, maxPixels: 16_777_216 };

interface Fixture {
  transformers: string;
  bounds: [number, number][];
  factors: number[];
  rows: ([number, number, number, number, number] | [number, number, number, string])[];
}
const fixture = JSON.parse(
  readFileSync(new URL('fixtures/smart-resize.json', import.meta.url), 'utf8'),
) as unknown as Fixture;

describe('smartResizeImage', () => {
  test.each([
    [1365, 2048, script, 1088, 1632],
    [720, 1280, script, 704, 1280],
    [3000, 4000, script, 1152, 1536],
    [16, 16, script, 64, 64],
    [48, 80, script, 64, 64],
    [112, 112, script, 128, 128],
    [10, 1000, script, 32, 640],
    [1365, 2048, reranker, 928, 1376],
    [3000, 4000, reranker, 960, 1312],
    [1365, 2048, base, 1376, 2048],
    [16, 16, base, 256, 256],
    [48, 80, base, 224, 352],
  ])('%d x %d', (height, width, rules, toHeight, toWidth) => {
    expect(smartResizeImage(height, width, rules)).toEqual({ height: toHeight, width: toWidth });
  });

  test(`${fixture.rows.length} sizes equal those of transformers ${fixture.transformers}`, () => {
    expect(fixture.rows.length).toBeGreaterThan(3000);
    const wrong = fixture.rows.filter(([height, width, index, ...answer]) => {
      const [minPixels, maxPixels] = fixture.bounds[index]!;
      const resize = () => smartResizeImage(height, width, { factor: fixture.factors[index]!, minPixels, maxPixels });
      if (typeof answer[0] === 'number') {
        const { height: toHeight, width: toWidth } = resize();
        return toHeight !== answer[0] || toWidth !== answer[1];
      }
      expect(resize).toThrow(expect.objectContaining({ code: 'media-invalid', message: `[picture] ${answer[0]}` }));
      return false;
    });
    expect(wrong).toEqual([]);
    expect(fixture.rows.some((row) => row.length === 4)).toBe(true);
  });

  test('a ratio of exactly 200 is read', () => {
    expect(smartResizeImage(10, 2000, reranker)).toEqual({ height: 32, width: 928 });
    expect(() => smartResizeImage(2001, 10, reranker)).toThrow('must be smaller than 200, got 200.1');
  });

  test('halves go to the even number', () => {
    const values = [0, 0.5, 1.5, 2.5, 3.5, 2.4999999999999996, 2.5000000000000004, 1e9 + 0.5];
    expect(values.map(roundHalfEven)).toEqual([0, 0, 2, 2, 4, 2, 3, 1e9]);
  });
});
