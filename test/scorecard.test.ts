import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const rows = readFileSync(new URL('../docs/scorecard.md', import.meta.url), 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter(([, number]) => /^\d+$/.test(number ?? ''));

test('the scorecard has 33 rows, each with a state and with tests that exist', () => {
  expect(rows.map(([, number]) => Number(number))).toEqual(Array.from({ length: 33 }, (_, i) => i + 1));
  for (const [, number, promise, tests, , , state] of rows) {
    expect([number, promise]).toEqual([number, expect.stringMatching(/^[A-Z]/)]);
    expect([number, state]).toEqual([number, expect.stringMatching(/^(?:holds|part|none)\b/)]);
    const files = [...tests!.matchAll(/`([^`]+)`/g)].map(([, file]) => `${file}.test.ts`);
    expect(files.length > 0, number).toBe(!state!.startsWith('none'));
    expect(files.filter((file) => !existsSync(new URL(file, import.meta.url)))).toEqual([]);
  }
});
