import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const architecture = read('ARCHITECTURE.md');

/** Files below a folder, paths from the repository's root. */
const filesOf = (folder: string, ...endings: string[]) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => path.posix.join(folder, file))
    .filter((file) => endings.some((ending) => file.endsWith(ending)) && !file.includes('node_modules'));

/** A paragraph of ARCHITECTURE.md, so that a failure quotes the rule. */
function rule(heading: string): string {
  const text = architecture.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0]?.trim();
  if (!text) throw new Error(`ARCHITECTURE.md has no section “${heading}”`);
  return `ARCHITECTURE.md, ${heading}: ${text}\n`;
}

const sources = filesOf('src', '.ts');
const withoutComments = (file: string) => read(file).replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');

/** Whatever a file names: imports of values and types, dynamic ones, and modules that it starts by their address. */
function importsOf(file: string): string[] {
  const code = withoutComments(file);
  const named = code.matchAll(/\b(?:from|import)\s*\(?\s*['"`]([^'"`]+)['"`]/g);
  const started = code.matchAll(/\bnew URL\(\s*['"`](\.[^'"`]+)['"`]/g);
  return [...named, ...started].map(([, specifier]) => specifier!);
}

// From the bottom up; folders on one floor do not import each other. errors.ts lies below them all.
const floors = [
  ['errors', 'process'],
  ['gpu'],
  ['tensor'],
  ['graph'],
  ['ops'],
  ['checkpoint', 'text', 'media'],
  ['nn'],
  ['models'],
  ['rerank'],
  ['server', 'hub', 'client'],
  ['cli', 'index'],
];
const folderOf = (file: string) => path.posix.relative('src', file).split(/[/.]/)[0]!;
const floorOf = (file: string) => floors.findIndex((folders) => folders.includes(folderOf(file)));

describe('the layer rule', () => {
  it('every file has a floor', () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(sources.filter((file) => floorOf(file) < 0)).toEqual([]);
  });

  it('imports point down only', () => {
    const wrong = sources.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => path.posix.join(path.posix.dirname(file), specifier))
        .filter((target) => target.startsWith('src/') && folderOf(target) !== folderOf(file))
        .filter((target) => floorOf(target) >= floorOf(file))
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong, rule('The layer rule')).toEqual([]);
  });

  it('node: modules stay in the files that are named for them', () => {
    const wrong = sources
      .filter((file) => !file.endsWith('-node.ts') && !['server', 'hub', 'cli'].includes(folderOf(file)))
      .flatMap((file) => importsOf(file).map((specifier) => [file, specifier] as const))
      .filter(([, specifier]) => isBuiltin(specifier))
      .map(([file, specifier]) => `${file} imports ${specifier}`);
    expect(wrong, rule('The layer rule')).toEqual([]);
  });

  it('the client is for browsers too: no import from outside its folder, and nothing that only Node has', () => {
    const files = sources.filter((file) => folderOf(file) === 'client');
    expect(files.length).toBeGreaterThan(3);
    const foreign = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => !/^\.\/[\w-]+\.ts$/.test(specifier))
        .map((specifier) => `${file} imports ${specifier}`),
    );
    const ofNode = files.filter((file) =>
      /\b(?:Buffer|process|require|global|setImmediate|NodeJS)\b/.test(withoutComments(file)),
    );
    expect({ foreign, ofNode }, rule('The layer rule')).toEqual({ foreign: [], ofNode: [] });
  });

  it('Hugging Face’s tensor names stand in src/models only', () => {
    const checkpoint = readFileSync(path.join(root, 'weights/tiny-bge-reranker/model.safetensors'));
    const names = Object.keys(JSON.parse(checkpoint.toString('utf8', 8, 8 + Number(checkpoint.readBigUInt64LE(0)))));
    // Two parts of a name, as in `out_proj.weight`: one alone can be any word. Numbers of layers do not count.
    const pairs = new Set(
      names.flatMap((name) => [...name.matchAll(/(?=\b([a-z]\w*\.[a-z]\w*))/gi)].map(([, p]) => p!)),
    );
    const using = (file: string) =>
      [...withoutComments(file).matchAll(/(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/g)]
        .map(([, , text]) => text!)
        .filter((text) => [...pairs].some((pair) => text.includes(pair)))
        .map((text) => `${file} holds ${text}`);
    expect(sources.flatMap(using).length).toBeGreaterThan(5);
    expect(sources.filter((file) => folderOf(file) !== 'models').flatMap(using), rule('The layer rule')).toEqual([]);
  });
});

const kernels = filesOf('shaders', '.wgsl').filter((file) => !file.startsWith('shaders/lib/'));
const stems = [...new Set(kernels.map((file) => path.basename(file).split('.')[0]!))];

describe('kernels', () => {
  it.each(stems)('one name, five places: %s', (stem) => {
    const places = [
      `src/ops/${stem}.ts`,
      `test/reference/${stem}.ts`,
      `test/ops/${stem}.test.ts`,
      `bench/ops/${stem}.bench.ts`,
    ];
    const missing = places.filter((file) => !existsSync(path.join(root, file)));
    expect(missing, rule('One name, five places')).toEqual([]);
  });

  it.each(kernels)('%s states its math, shapes, dtypes, bindings, dispatch and error', (file) => {
    const header = read(file).split(/\n(?!\/\/)/)[0]!;
    const stated = [...header.matchAll(/^\/\/ ([a-z]+(?:, [a-z]+)*)(?: {2,}| as in )/gm)].flatMap(([, fields]) =>
      fields!.split(', '),
    );
    expect(stated).toEqual(expect.arrayContaining(['math', 'shapes', 'dtypes', 'bindings', 'dispatch', 'error']));
  });

  it.each(kernels)('%s has a main of at most 60 lines', (file) => {
    const [main] = read(file).match(/^fn main\([\s\S]*?^\}/m)!;
    expect(main.split('\n').length).toBeLessThanOrEqual(60);
  });
});

it('no file is over 300 lines unless ARCHITECTURE.md says why', () => {
  const files = ['src', 'shaders', 'test', 'bench'].flatMap((folder) => filesOf(folder, '.ts', '.wgsl'));
  const long = files.filter((file) => read(file).trimEnd().split('\n').length > 300 && !architecture.includes(file));
  expect(long, 'No file over 300 lines without a sentence in ARCHITECTURE.md saying why').toEqual([]);
});
