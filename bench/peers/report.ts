import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { EngineChild } from './engine-child.ts';

export interface EngineResult {
  readonly engine: string;
  readonly adapter: string;
  readonly drivers: readonly string[];
  readonly loadMs: number;
  readonly firstRunMs: number;
  readonly runsMs: readonly number[];
  readonly medianMs: number;
  readonly minMs: number;
  /** Least processor time of a run. */
  readonly minCpuMs: number;
  readonly docsPerSecond: number;
  readonly gflops: number;
  readonly bestGflops: number;
  readonly scores: readonly number[];
}

export function summarise(child: EngineChild, batch: number, flopsPerDocument: number): EngineResult {
  const runsMs = child.samples.map((sample) => sample.ms);
  const medianMs = median(runsMs);
  const minMs = Math.min(...runsMs);
  return {
    engine: child.name,
    adapter: child.adapter,
    drivers: child.drivers,
    loadMs: child.loadMs,
    firstRunMs: child.firstRunMs,
    runsMs,
    medianMs,
    minMs,
    minCpuMs: Math.min(...child.samples.map((sample) => sample.cpuMs)),
    docsPerSecond: (1000 * batch) / medianMs,
    gflops: (batch * flopsPerDocument) / medianMs / 1e6,
    bestGflops: (batch * flopsPerDocument) / minMs / 1e6,
    scores: child.samples[0]?.scores ?? [],
  };
}

/**
 * A Markdown table. The last column is against the fastest ONNX Runtime WebGPU row that computes the whole model: the median of the rounds' ratios, since
 * runs of one round lie next to each other in time and a shared machine changes its speed between rounds.
 */
export function formatTable(results: readonly EngineResult[], flopsPerDocument: number, tokens: number): string {
  const [peer] = results
    .filter(({ engine }) => engine.startsWith('ORT WebGPU') && !engine.endsWith('-row)'))
    .toSorted((a, b) => a.medianMs - b.medianMs);
  const rows = results.map((result) => {
    const rounds = peer === undefined ? [] : result.runsMs.map((ms, round) => (peer.runsMs[round] ?? Number.NaN) / ms);
    const cells = [
      result.engine,
      [result.adapter, ...result.drivers].join(', '),
      (result.medianMs / 1000).toFixed(3),
      (result.minMs / 1000).toFixed(3),
      (result.minCpuMs / 1000).toFixed(3),
      result.docsPerSecond.toFixed(3),
      `${result.gflops.toFixed(2)} (best ${result.bestGflops.toFixed(2)})`,
      (result.scores[0] ?? Number.NaN).toFixed(6),
      peer === undefined ? '' : `${median(rounds).toFixed(2)} (${rounds.map((ratio) => ratio.toFixed(2)).join(' ')})`,
      peer === undefined ? '' : (peer.minCpuMs / result.minCpuMs).toFixed(2),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `${(flopsPerDocument / 1e9).toFixed(1)} GFLOP per document of ${tokens} tokens (matrix products of the whole model)`,
    '',
    '| engine | adapter | median s | min s | min CPU s | docs/s | GFLOP/s | score of document 0 | speed ÷ ORT WebGPU (each round) | by min CPU s |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

export function describeMachine(): Record<string, string | number> {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    onnxruntime: packageVersion('onnxruntime-node'),
    mesa: installedVersion('mesa-vulkan-drivers'),
    vkDriverFiles: process.env['VK_DRIVER_FILES'] ?? '',
    loadAverageAtEnd: readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' '),
  };
}

function packageVersion(name: string): string {
  const path = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function installedVersion(debianPackage: string): string {
  try {
    // oxlint-disable-next-line no-template-curly-in-string -- dpkg's own format syntax
    return execFileSync('dpkg-query', ['-W', '-f', '${Version}', debianPackage], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return 'not a Debian package';
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
