import { readFileSync } from 'node:fs';

/** Resident bytes of a process now and at its highest. Linux only. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (key: string) => 1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { now: read('VmRSS'), peak: read('VmHWM') };
}

export const mib = (bytes: number) => Math.round(bytes / 2 ** 20);

/** Processor seconds that a process has used, user and system; 100 ticks a second on every Linux that Node supports. */
export function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
