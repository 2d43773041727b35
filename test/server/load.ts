import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

export interface LoadPlan {
  readonly url: string;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
  readonly seconds: number;
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

/** Requests before the clock starts; they are not among the results. */
export const warmUpRequests = 3;

/** Runs a load in a process of its own, so that it does not share the server's event loop. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult[]> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = fileURLToPath(new URL('./load-child.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, child, JSON.stringify(plan)], {
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(stdout) as LoadResult[];
}

/** @param part e.g. 0.99 */
export function percentile(results: readonly LoadResult[], part: number): number {
  const sorted = results.map(({ ms }) => ms).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** Answers per second in the best window of so many seconds: whatever else runs on the machine only makes others worse. */
export function bestRate(results: readonly LoadResult[], seconds: number): number {
  const ends = results.map(({ sentAt, ms }) => sentAt + ms).toSorted((a, b) => a - b);
  let most = 0;
  for (let first = 0, next = 0; next < ends.length; next++) {
    while (ends[next]! - ends[first]! > seconds * 1000) first++;
    most = Math.max(most, next - first + 1);
  }
  return most / seconds;
}
