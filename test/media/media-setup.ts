import { readFileSync } from 'node:fs';
import process from 'node:process';

import { MediaProcess, type MediaProcessOptions } from '../../src/media/media-process-node.ts';
import type { MediaRules } from '../../src/media/media-rules.ts';

/** Of the published rerankers. */
export const rules: MediaRules = {
  patchSize: 16,
  temporalPatchSize: 2,
  mergeSize: 2,
  mean: [127.5, 127.5, 127.5],
  std: [127.5, 127.5, 127.5],
  image: { minPixels: 4096, maxPixels: 1_310_720 },
  video: { minPixels: 4096, maxPixels: 25_165_824, fps: 2, minFrames: 4, maxFrames: 768 },
};

export const pictureFile = (name: string): Buffer =>
  readFileSync(new URL(`fixtures/decoding/${name}`, import.meta.url));

const processes: MediaProcess[] = [];

export function startProcess(options: Partial<MediaProcessOptions> = {}): MediaProcess {
  const started = new MediaProcess({ rules, workers: 1, ...options });
  processes.push(started);
  return started;
}

export async function closeProcesses(): Promise<void> {
  await Promise.all(processes.splice(0).map((one) => one.close()));
}

/** Where resident memory can be read. */
export const canReadMemory = process.platform === 'linux';

/** Resident bytes of a process now and at its highest; undefined when it has ended. */
export function residentBytes(pid: number): { now: number; peak: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const read = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
    // One that has ended and is not buried yet has none.
    return Number.isNaN(read('VmHWM')) ? undefined : { now: read('VmRSS'), peak: read('VmHWM') };
  } catch {
    return undefined;
  }
}
