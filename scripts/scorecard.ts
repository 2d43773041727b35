/**
 * Runs the tests of docs/scorecard.md with their full counts and prints one line per row: number, state, what was measured, promise,
 * tests. usage: npm run scorecard [-- ROW …]; without rows all of them, which takes hours.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

interface Row {
  readonly number: number;
  readonly promise: string;
  readonly files: readonly string[];
}

interface FileResult {
  readonly name: string;
  readonly startTime: number;
  readonly endTime: number;
  readonly assertionResults: readonly { readonly status: string }[];
}

const root = fileURLToPath(new URL('..', import.meta.url));

function readRows(): Row[] {
  return readFileSync(join(root, 'docs/scorecard.md'), 'utf8')
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, number]) => /^\d+$/.test(number ?? ''))
    .map(([, number, promise, tests]) => ({
      number: Number(number),
      promise: promise!,
      files: [...tests!.matchAll(/`([^`]+)`/g)].map(([, file]) => `test/${file}.test.ts`),
    }));
}

const wanted = process.argv.slice(2).map(Number);
const rows = readRows().filter(({ number }) => wanted.length === 0 || wanted.includes(number));
const files = [...new Set(rows.flatMap((row) => row.files))];
const missing = files.filter((file) => !existsSync(join(root, file)));
if (missing.length > 0) throw new Error(`docs/scorecard.md names tests that do not exist: ${missing.join(', ')}`);
if (files.length === 0) throw new Error('no row with a test was asked for');

const folder = mkdtempSync(join(tmpdir(), 'wgrank-scorecard-'));
const [results, figures] = [join(folder, 'results.json'), join(folder, 'figures.jsonl')];
spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...files,
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, SCORECARD: 'full', SCORECARD_FIGURES: figures },
  },
);

const { testResults } = JSON.parse(readFileSync(results, 'utf8')) as { testResults: readonly FileResult[] };
const measured = (existsSync(figures) ? readFileSync(figures, 'utf8') : '')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as { path: string; figures: object });
rmSync(folder, { recursive: true });

let broken = 0;
for (const { number, promise, files: ofRow } of rows) {
  const found = testResults.filter(({ name }) => ofRow.includes(relative(root, name)));
  const statuses = found.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
  const count = (status: string) => statuses.filter((one) => one === status).length;
  const failed = count('failed') + found.filter(({ assertionResults }) => assertionResults.length === 0).length;
  const seconds = found.reduce((sum, { startTime, endTime }) => sum + endTime - startTime, 0) / 1000;
  const state = ofRow.length === 0 ? 'unmeasured' : failed > 0 || found.length < ofRow.length ? 'BROKEN' : 'ok';
  if (state === 'BROKEN') broken++;
  const figure = [
    `${count('passed')} passed, ${failed} failed in ${Math.round(seconds)} s`,
    ...measured.filter(({ path }) => ofRow.includes(relative(root, path))).map((one) => JSON.stringify(one.figures)),
  ].join(' ');
  process.stdout.write(`${number} | ${state} | ${promise} | ${figure} | ${ofRow.join(' ')}\n`);
}
process.exitCode = broken > 0 ? 1 : 0;
