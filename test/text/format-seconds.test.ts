import { describe, expect, it } from 'vitest';

import { formatSeconds } from '../../src/text/format-seconds.ts';
import fixture from './fixtures/seconds.json' with { type: 'json' };

describe('formatSeconds', () => {
  const cases = fixture.seconds as [number, string][];

  it(`writes ${cases.length} values as Python does`, () => {
    expect(cases.length).toBeGreaterThan(4000);
    const wrong = cases.filter(([value, text]) => formatSeconds(value) !== text);
    expect(wrong.map(([value, text]) => `${value}: ${formatSeconds(value)}, Python ${text}`)).toEqual([]);
  });

  it('differs from toFixed, which rounds halves up', () => {
    const ties = cases.filter(([value, text]) => value.toFixed(1) !== text);
    expect(ties.length).toBeGreaterThan(100);
    expect([0.25, 0.75, 1.25, 1.75].map(formatSeconds)).toEqual(['0.2', '0.8', '1.2', '1.8']);
  });
});
