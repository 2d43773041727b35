/**
 * One request with many documents through the whole server: does memory stay flat, and does `/health` still answer?
 *
 *   npm run build && npx tsx bench/server/long-request.bench.ts [--model tiny-bge-reranker] [--documents 1000] [--tokens 200] [--requests 5]
 *
 * Prints the time and the resident memory of both processes after each of several equal requests, and quantiles of `/health`, asked every 5 ms from this process.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { RerankAnswerItem } from '../../src/server/rerank-route.ts';
import { mib, residentBytes } from './process-figures.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'tiny-bge-reranker' },
    documents: { type: 'string', default: '1000' },
    tokens: { type: 'string', default: '200' },
    requests: { type: 'string', default: '5' },
  },
});
const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const server = spawn(process.execPath, [cli, 'serve', '--model-path', values.model, '--port', '0'], {
  stdio: ['ignore', 'ignore', 'pipe'],
});
const url = await readyUrl();
const engine = childOf(server.pid!);
const documents = await makeDocuments(Number(values.documents), Number(values.tokens));

const before = memory();
const latencies: number[] = [];
const probing = new AbortController();
const probe = probeHealth(probing.signal);
const name = `${values.model} · ${cpus()[0]?.model}, ${cpus().length} cores · node ${process.version}`;
console.log(`${name} · load ${loadavg()[0]?.toFixed(1)}`);
console.log(`before: server ${mib(before.server)} MiB, engine ${mib(before.engine)} MiB`);
for (let request = 1; request <= Number(values.requests); request++) {
  const { seconds, tokens } = await rerank(documents);
  const after = memory();
  console.log(
    `request ${request}: ${documents.length} documents, ${tokens} tokens, ${seconds.toFixed(2)} s · ` +
      `server ${mib(after.server)} MiB, engine ${mib(after.engine)} MiB`,
  );
}
probing.abort();
await probe;
server.kill('SIGTERM');

latencies.sort((a, b) => a - b);
const quantile = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))]!.toFixed(1);
console.log(
  `/health: ${latencies.length} probes, p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, max ${quantile(1)} ms`,
);

function memory() {
  return { server: residentBytes(server.pid!).now, engine: residentBytes(engine).now };
}

async function readyUrl(): Promise<string> {
  for await (const line of createInterface({ input: server.stderr })) {
    const found = /ready after .* at (http:\S+)/.exec(line);
    if (found) return found[1]!;
  }
  throw new Error('the server ended before it was ready');
}

/** The server's only child process. */
function childOf(pid: number): number {
  const child = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return new RegExp(`^PPid:\\s+${pid}$`, 'm').test(readFileSync(`/proc/${name}/status`, 'utf8'));
    } catch {
      return false; // ended meanwhile
    }
  });
  return Number(child);
}

async function ask(texts: readonly string[]): Promise<RerankAnswerItem[]> {
  const response = await fetch(`${url}/v1/rerank`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'what is panda?', documents: texts, return_documents: false }),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as RerankAnswerItem[];
}

async function rerank(texts: readonly string[]): Promise<{ seconds: number; tokens: number }> {
  const started = performance.now();
  const answer = await ask(texts);
  const tokens = answer.reduce((sum, { meta_info }) => sum + meta_info.prompt_tokens, 0);
  return { seconds: (performance.now() - started) / 1000, tokens };
}

/** Distinct documents, each lengthened until its pair has about the wanted number of tokens. */
async function makeDocuments(count: number, tokens: number): Promise<string[]> {
  const words = 'panda bear China bamboo forest mountain river species giant animal winter region'.split(' ');
  const text = (i: number, length: number) =>
    Array.from({ length }, (_, w) => words[(i + w * (1 + (i % 5))) % 12]).join(' ');
  const [probe] = await ask([text(0, 60)]);
  const length = Math.round((60 * tokens) / probe!.meta_info.prompt_tokens);
  return Array.from({ length: count }, (_, i) => text(i, length));
}

async function probeHealth(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const started = performance.now();
    await (await fetch(`${url}/health`)).arrayBuffer();
    latencies.push(performance.now() - started);
    await sleep(5);
  }
}
