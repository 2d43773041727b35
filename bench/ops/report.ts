import { cpus, loadavg, totalmem } from 'node:os';
import type { Gpu } from '../../src/gpu/gpu.ts';

/** Milliseconds of one launch: the adapter's own timestamps, the host's clock, and the process's processor time. */
export interface Sample {
  readonly gpu?: number;
  readonly wall: number;
  readonly cpu: number;
}

export interface Times {
  readonly gpu?: Statistic;
  readonly wall: Statistic;
  readonly cpu: Statistic;
}

export interface Statistic {
  readonly min: number;
  readonly median: number;
}

export interface Rate {
  /** From the timestamps where there are any, else from the host's clock. */
  readonly best: number;
  readonly median: number;
  readonly unit: 'GFLOP/s' | 'GB/s';
}

export interface Result extends Times {
  readonly op: string;
  readonly name: string;
  readonly variant?: string;
  readonly dtype?: string;
  readonly shape: string;
  /** Launches of one run, over which its time is averaged. */
  readonly launches: number;
  /** Largest error of the sampled rows, as a share of what is allowed. */
  readonly error: number;
  readonly rate: Rate;
}

export function summarise(samples: readonly Sample[]): Times {
  const gpu = samples.flatMap((sample) => sample.gpu ?? []);
  return {
    ...(gpu.length > 0 && { gpu: statistic(gpu) }),
    wall: statistic(samples.map(({ wall }) => wall)),
    cpu: statistic(samples.map(({ cpu }) => cpu)),
  };
}

function statistic(values: readonly number[]): Statistic {
  const sorted = values.toSorted((a, b) => a - b);
  const median = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return { min: short(sorted[0]!), median: short(median) };
}

export function rateOf(work: { readonly flops?: number; readonly bytes?: number }, times: Times): { rate: Rate } {
  const { min, median } = times.gpu ?? times.wall;
  const millions = (work.flops ?? work.bytes ?? Number.NaN) / 1e6; // per millisecond: 1e9 per second
  const unit = work.flops === undefined ? 'GB/s' : 'GFLOP/s';
  return { rate: { best: short(millions / min), median: short(millions / median), unit } };
}

/** Processes that wanted to run during the last minute, this one included. */
export const load = () => Number(loadavg()[0]!.toFixed(2));

export function describeMachine(gpu: Gpu) {
  const { vendor, architecture, device, description } = gpu.device.adapterInfo;
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadAverage: load(),
    adapter: [vendor, architecture, device].filter(Boolean).join(' '),
    driver: description,
    timestamps: gpu.traits.timestamps,
  };
}

const widths = [11, 13, 14, 5, 38, 19, 19, 7, 23];

export const heading = columns(
  ['op', 'case', 'variant', 'dtype', 'shape', 'gpu ms min / median', 'wall ms', 'cpu min', 'rate best / median'],
  widths,
);

const pair = ({ min, median }: Statistic) => `${min} / ${median}`;

export function formatRow({ op, name, variant, dtype, shape, gpu, wall, cpu, rate }: Result): string {
  const rates = `${rate.best} / ${rate.median} ${rate.unit}`;
  const cells = [op, name, variant ?? '', dtype ?? '', shape, gpu ? pair(gpu) : '-', pair(wall), `${cpu.min}`, rates];
  return columns(cells, widths);
}

function columns(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => cell.padEnd(widths[i]!))
    .join(' ')
    .trimEnd();
}

const short = (value: number) => Number(value.toPrecision(4));
