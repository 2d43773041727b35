/**
 * Requests of few and of many documents with a large picture each: is the memory that of a batch, or that of the request?
 *
 *   npx tsx scripts/make-random-checkpoint.ts --shape qwen3-vl-reranker-2b --layers 1 --vision-layers 1 --out DIR
 *   npm run build && npx tsx bench/server/pictures.bench.ts --model DIR [--documents 4,12] [--rounds 2]
 *
 * Every request goes to a server of its own, since a peak never goes down. Pictures are 1280 x 1024 pixels, different ones: 1280
 * tokens each. Prints the time and the highest resident memory of each of the server's processes.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import { mib, residentBytes } from './process-figures.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    documents: { type: 'string', default: '4,12' },
    rounds: { type: 'string', default: '2' },
  },
});
if (values.model === undefined) throw new Error('--model is missing (a folder)');
const counts = values.documents.split(',').map(Number);
const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const pictures = await Promise.all(Array.from({ length: Math.max(...counts) }, (_, i) => makePicture(i)));

console.log(`${values.model} · ${cpus()[0]?.model}, ${cpus().length} cores · node ${process.version}`);
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const count of counts) console.log(await measure(count));
}

async function measure(count: number): Promise<string> {
  const server = spawn(process.execPath, [cli, 'serve', '--model-path', values.model!, '--port', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    const url = await readyUrl(server.stderr);
    const loaded = childrenOf(server.pid!).map(nameAndPeak);
    const started = performance.now();
    const ranked = await rank(url, count);
    const seconds = (performance.now() - started) / 1000;
    const tokens = ranked.reduce((sum, { meta_info: info }) => sum + info.prompt_tokens, 0);
    const peaks = [`server ${mib(residentBytes(server.pid!).peak)}`, ...childrenOf(server.pid!).map(nameAndPeak)];
    return (
      `${count} documents, ${tokens} tokens, ${seconds.toFixed(1)} s · peak MiB: ${peaks.join(', ')} ` +
      `(after loading: ${loaded.join(', ')}) · load ${loadavg()[0]?.toFixed(1)}`
    );
  } finally {
    server.kill('SIGTERM');
  }
}

async function rank(url: string, count: number): Promise<RerankAnswerItem[]> {
  const documents = pictures.slice(0, count).map((picture) => [{ type: 'image_url', image_url: { url: picture } }]);
  const response = await fetch(`${url}/v1/rerank`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'a coast at sunset', documents }),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as RerankAnswerItem[];
}

async function readyUrl(stderr: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stderr })) {
    const found = /ready after .* at (http:\S+)/.exec(line);
    if (found) return found[1]!;
  }
  throw new Error('the server ended before it was ready');
}

function childrenOf(pid: number): number[] {
  const parentOf = (name: string) => {
    try {
      return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]);
    } catch {
      return undefined; // ended meanwhile
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}

/** A child by the file that it runs: `engine-child`, `media-child-node`. */
function nameAndPeak(pid: number): string {
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  const file = command.find((part) => part.endsWith('.js')) ?? 'process';
  return `${/([\w-]+)\.js$/.exec(file)?.[1] ?? file} ${mib(residentBytes(pid).peak)}`;
}

/** Waves that differ from picture to picture, as a `data:` URI. */
async function makePicture(seed: number): Promise<string> {
  const [width, height] = [1280, 1024];
  const rgb = Buffer.alloc(width * height * 3);
  for (let i = 0; i < rgb.length; i++) {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    rgb[i] = 127 + 100 * Math.sin((x * (seed + 1)) / 97 + (y * ((i % 3) + 1)) / 61);
  }
  const jpeg = await sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}
