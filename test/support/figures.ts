import { appendFileSync } from 'node:fs';
import process from 'node:process';
import { expect } from 'vitest';

const file = process.env['SCORECARD_FIGURES'];

/** Shows what a test measured; `npm run scorecard` prints it in the line of its row. */
export function showFigures(figures: Readonly<Record<string, number | string>>): void {
  const rounded = Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [
      name,
      typeof value === 'number' ? Number(value.toPrecision(4)) : value,
    ]),
  );
  console.log(JSON.stringify(rounded));
  if (file !== undefined)
    appendFileSync(file, `${JSON.stringify({ path: expect.getState().testPath, figures: rounded })}\n`);
}
