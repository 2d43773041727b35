import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Reranker, type LoadedReranker } from '../../src/index.ts';
import { guardAccess } from '../../src/server/access.ts';
import { ApiKeys } from '../../src/server/api-keys.ts';
import { createApp } from '../../src/server/app.ts';
import { listen, type RunningApp } from '../server/fake-reranker.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
const key = 'sk-example';
const address = 'http://127.0.0.1:30000';

/** What stands between fences of a language in a document, in order. */
function blocksOf(document: string, language: string): string[] {
  const text = readFileSync(path.join(root, 'docs', document), 'utf8');
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , body]) => body!);
}

const inProcess = blocksOf('in-process.md', 'ts');
const client = blocksOf('client.md', 'ts');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node as a user does: in the clone, on what was built. */
async function runNode(...args: readonly string[]): Promise<Outcome> {
  const env = { ...process.env, NODE_OPTIONS: '', WGRANK_API_KEY: key };
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, env, timeout: 100_000 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

/** Below the package's own folder `wgrank` is its name, as it is in an application that has installed it. */
let folder: string;
const models: LoadedReranker[] = [];
const apps: RunningApp[] = [];

async function serve(model: string): Promise<string> {
  const reranker = await Reranker.load(model, { workers: 1 });
  models.push(reranker);
  const app = await listen(
    createApp(reranker, { before: guardAccess({ host: '127.0.0.1', keys: new ApiKeys([key]) }) }),
  );
  apps.push(app);
  return app.url;
}

/** The examples as files, with a project around them. @returns what the compiler says */
async function compile(name: string, blocks: readonly string[], options: object): Promise<Outcome> {
  const project = path.join(folder, name);
  await mkdir(project);
  const files = blocks.map((block, i) => writeFile(path.join(project, `example-${i}.ts`), block));
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    ...options,
  };
  await Promise.all([...files, writeFile(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }))]);
  return runNode(compiler, '-p', project);
}

beforeAll(async () => {
  if (!existsSync(path.join(root, 'dist/client/index.js'))) throw new Error('examples run on dist: npm run build');
  await mkdir(path.join(root, '.cache'), { recursive: true });
  folder = await mkdtemp(path.join(root, '.cache', 'docs-'));
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await Promise.all(models.map((model) => model.close()));
  await rm(folder, { recursive: true, force: true });
});

describe('docs/in-process.md', () => {
  test('its example compiles, runs, and prints what the document says', async () => {
    expect(inProcess).toHaveLength(1);
    expect(await compile('in-process', inProcess, { types: ['node'], skipLibCheck: true })).toEqual(compiled);
    const { code, stdout, stderr } = await runNode(path.join(folder, 'in-process/example-0.js'));
    expect([code, stdout], stderr).toEqual([0, blocksOf('in-process.md', 'text')[0]]);
  });
});

describe('docs/client.md', () => {
  test('its examples compile, run against a server, and print what the document says', async () => {
    expect(client).toHaveLength(2);
    const servers = [await serve('tiny-qwen3-reranker'), await serve('tiny-qwen3-vl-reranker')];
    const aimed = client.map((block, i) => {
      expect(block).toContain(address);
      return block.replace(address, servers[i]!);
    });
    expect(await compile('client', aimed, { types: ['node'] })).toEqual(compiled);
    const [first, second] = [0, 1].map((i) => runNode(path.join(folder, `client/example-${i}.js`)));
    expect(await first).toEqual({ code: 0, stdout: blocksOf('client.md', 'text')[0], stderr: '' });
    expect(await second).toEqual({ code: 0, stdout: '2 ranked\n', stderr: '' });
  });

  test('the client’s types need no Node: a browser’s project compiles, libraries and all', async () => {
    const dom = { lib: ['es2022', 'dom'], types: [], skipLibCheck: false };
    expect(await compile('browser', client.slice(0, 1), dom)).toEqual(compiled);
  });
});

const compiled: Outcome = { code: 0, stdout: '', stderr: '' };

describe('examples/client/rank-files.mjs', () => {
  const script = 'examples/client/rank-files.mjs';
  const files = ['examples/media/photo.jpg', 'examples/rerank.sh', 'examples/media/clip.mp4'];

  test('ranks pictures, clips and texts, and says why it could not', async () => {
    const url = await serve('tiny-qwen3-vl-reranker');
    const { code, stdout, stderr } = await runNode(script, url, 'a coast at sunset', ...files);
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => line.split(' ')[1]).toSorted()).toEqual(files.toSorted());
    const scores = lines.map((line) => Number(line.split(' ')[0]));
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(await runNode(script, url, '', ...files)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'HTTP 400: Query cannot be empty\n',
    });
  });
});
