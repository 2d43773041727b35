import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface LoadPlan {
  readonly url: string;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
  readonly seconds: number;
  /** The same load before it, which is not among the results. Default: none. */
  readonly warmUpSeconds?: number;
  /** Arrivals per second, whatever the answers. Without: `connections` send one request after the other. */
  readonly perSecond?: number;
  readonly connections?: number;
}

export interface LoadResult {
  /** 0: no answer. */
  readonly status: number;
  /** Milliseconds after the start; when it was due. */
  readonly sentAt: number;
  /** From when it was due to the end of its answer. */
  readonly ms: number;
  readonly retryAfterMs?: number;
}

/**
 * Runs a load in a process of its own, so that it does not share the server's event loop.
 * @param onMeasure called when the warm-up is over, and when the last answer has come
 */
export async function runLoad(plan: LoadPlan, onMeasure: () => void = () => undefined): Promise<LoadResult[]> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = fork(fileURLToPath(new URL('./load-child.ts', import.meta.url)), [JSON.stringify(plan)], {
    execArgv: ['--import', tsx],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  child.on('message', onMeasure);
  const [output, [code]] = await Promise.all([text(child.stdout!), once(child, 'exit')]);
  if (code !== 0) throw new Error(`the load ended with ${code}`);
  return JSON.parse(output) as LoadResult[];
}

/** @param part e.g. 0.99 */
export function percentile(results: readonly LoadResult[], part: number): number {
  const sorted = results.map(({ ms }) => ms).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** Answers per second, from the first to the last. */
export function rate(results: readonly LoadResult[]): number {
  const ends = results.map(({ sentAt, ms }) => sentAt + ms);
  return (1000 * results.length) / ends.reduce((latest, end) => Math.max(latest, end), 0);
}
