import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { epilogueOf } from '../../test/support/epilogue-of.ts';
import { prepareOp, testGpu, type OpCase, type PreparedOp } from '../../test/support/op-harness.ts';
import { storageDtypes, uniform, type StorageDtype } from '../../test/ops/values.ts';
import type { GpuTraits } from '../../src/gpu/gpu.ts';
import type { Epilogue } from '../../src/ops/epilogue.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { describeMachine, formatRow, heading, load, rateOf, summarise, type Result, type Sample } from './report.ts';

/** bge-reranker-v2-m3. */
export const model = { hidden: 1024, intermediate: 4096, heads: 16, headSize: 64, positions: 8194, eps: 1e-5 } as const;

/** What a bench makes its cases from. */
export interface Workload {
  readonly traits: GpuTraits;
  readonly tokens: number;
  /** Tokens of each sequence; the last one has the rest. */
  readonly sequences: readonly number[];
  readonly dtypes: readonly StorageDtype[];
}

/** One kernel at one shape. */
export interface BenchCase {
  readonly op: string;
  /** Which of the model's launches, or which form of the op. */
  readonly name: string;
  readonly variant?: string;
  readonly dtype?: StorageDtype;
  readonly shape: string;
  /** Work of one launch: floating-point operations, or the bytes of each operand moved once. */
  readonly flops?: number;
  readonly bytes?: number;
  /** Uploads the operands, and returns what records one launch. Nothing may be a graph input: a run is launches only. */
  readonly operands: (op: OpCase) => () => Tensor;
  /** Rows of the output, what one of them must be in float64, and the error that is allowed. */
  readonly rows: number;
  readonly reference: (row: number) => ArrayLike<number>;
  readonly bound: number;
}

/** Yields groups of cases; the cases of a group are timed in turn, A B A B …. */
export type Bench = (work: Workload) => Iterable<readonly BenchCase[]>;

/** Seeded numbers within ±`scale`: a block of a prime length again and again, since a large activation takes seconds to draw. */
export function numbers(seed: number, count: number, scale = 1): Float32Array {
  const block = uniform(seed, Math.min(count, 1_000_003), -scale, scale);
  const values = new Float32Array(count);
  for (let at = 0; at < count; at += block.length) values.set(block.subarray(0, count - at), at);
  return values;
}

export const rowOf = (matrix: Float32Array, row: number, width: number) =>
  matrix.subarray(row * width, (row + 1) * width);

/** Uploads what an epilogue needs. @param residual [rows, bias.length], for the kind that has one */
export function epilogueOperands(
  op: OpCase,
  kind: Epilogue['kind'],
  bias: Float32Array,
  residual: Float32Array,
): Epilogue {
  const columns = bias.length;
  return epilogueOf(
    kind,
    () => op.weight('bias', 'f32', [columns], bias),
    () => op.weight('residual', 'f32', [residual.length / columns, columns], residual),
  );
}

/** Runs a bench when its file is what Node was started with. */
export async function runIfMain(file: string, bench: Bench): Promise<void> {
  if (process.argv[1] === file) await runBenches([bench]);
}

/** Reads the flags, runs, prints a table, and writes `--json`. */
export async function runBenches(benches: readonly Bench[]): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      tokens: { type: 'string' },
      length: { type: 'string', default: '256' },
      dtype: { type: 'string', multiple: true, default: [...storageDtypes] },
      variant: { type: 'string', multiple: true },
      case: { type: 'string', multiple: true },
      rounds: { type: 'string', default: '5' },
      launches: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const { gpu } = await testGpu();
  const { software, timestamps } = gpu.traits;
  const tokens = whole('tokens', flags.tokens ?? (software ? 256 : 16384));
  const length = Math.min(tokens, whole('length', flags.length));
  const sequences = Array.from({ length: Math.ceil(tokens / length) }, (_, i) => Math.min(length, tokens - i * length));
  const work = {
    traits: gpu.traits,
    tokens,
    sequences,
    dtypes: storageDtypes.filter((dtype) => flags.dtype.includes(dtype)),
  };
  const wanted = ({ name, variant, dtype }: BenchCase) =>
    (!flags.case || flags.case.includes(name)) &&
    (!flags.variant || !variant || flags.variant.includes(variant)) &&
    (!dtype || flags.dtype.includes(dtype));
  const machine = describeMachine(gpu);
  console.log(`${JSON.stringify(machine, null, 2)}\n\n${heading}`);
  const results: Result[] = [];
  for (const bench of benches) {
    for (const group of bench(work)) {
      const cases = group.filter(wanted);
      const launchesOf = (one: BenchCase) =>
        whole('launches', flags.launches ?? (software && one.flops !== undefined ? 1 : 16));
      for (const result of await timeGroup(cases, launchesOf, whole('rounds', flags.rounds), timestamps)) {
        console.log(formatRow(result));
        results.push(result);
      }
    }
  }
  gpu.destroy();
  if (results.length === 0) throw new Error('no case is left by --case, --variant and --dtype');
  if (flags.json === undefined) return;
  const command = ['npx tsx', `bench/ops/${basename(process.argv[1]!)}`, ...process.argv.slice(2)].join(' ');
  mkdirSync(dirname(flags.json), { recursive: true });
  const lines = results.map((result) => `    ${JSON.stringify(result)}`).join(',\n');
  const head = JSON.stringify({ command, tokens, length, ...machine, loadAverageAtEnd: load() }, null, 2).slice(0, -2);
  writeFileSync(flags.json, `${head},\n  "results": [\n${lines}\n  ]\n}\n`);
}

function whole(flag: string, value: string | number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`--${flag} is ${value} (expected a whole number)`);
  return number;
}

interface Contender {
  readonly one: BenchCase;
  readonly launches: number;
  readonly prepared: PreparedOp;
  /** Largest error found, as a share of what is allowed. */
  readonly error: number;
  readonly samples: Sample[];
}

async function timeGroup(
  cases: readonly BenchCase[],
  launchesOf: (one: BenchCase) => number,
  rounds: number,
  timestamps: boolean,
): Promise<Result[]> {
  const contenders: Contender[] = [];
  try {
    for (const one of cases) {
      const launches = launchesOf(one);
      const prepared = await prepareOp((op) => {
        const record = one.operands(op);
        for (let i = 1; i < launches; i++) record();
        return record();
      });
      contenders.push({ one, launches, prepared, error: Number.NaN, samples: [] });
      const [output] = await prepared.plan.run({}, {});
      contenders.push({ ...contenders.pop()!, error: checkRows(one, output!) });
    }
    for (const contender of contenders) await sample(contender, timestamps); // warm-up
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) contender.samples.push(await sample(contender, timestamps));
    }
    return contenders.map(({ one, launches, error, samples }): Result => {
      const { op, name, variant, dtype, shape } = one;
      const times = summarise(samples);
      const label = { op, name, ...(variant && { variant }), ...(dtype && { dtype }), shape };
      return { ...label, launches, error: Number(error.toPrecision(2)), ...times, ...rateOf(one, times) };
    });
  } finally {
    for (const { prepared } of contenders) prepared.release();
  }
}

/** One run of all launches; milliseconds per launch. */
async function sample({ launches, prepared }: Contender, timestamps: boolean): Promise<Sample> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const times = timestamps
    ? await prepared.plan.profile({}, {})
    : await prepared.plan.run({}, {}).then(() => undefined);
  const wall = (performance.now() - start) / launches;
  const { user, system } = process.cpuUsage(cpu);
  const gpu = times && times.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / launches;
  return { wall, cpu: (user + system) / 1000 / launches, ...(gpu !== undefined && { gpu }) };
}

/** A fast wrong kernel must not be reported. @returns the largest error as a share of the bound */
function checkRows({ op, name, variant, dtype, rows, reference, bound }: BenchCase, output: Float32Array): number {
  let worst = 0;
  for (const row of new Set([0, 1, 7, rows >> 1, rows - 1].filter((row) => row < rows))) {
    const expected = reference(row);
    const actual = rowOf(output, row, output.length / rows);
    if (actual.length !== expected.length) throw new Error(`[${op}] rows of ${actual.length}, not ${expected.length}`);
    for (let i = 0; i < expected.length; i++) {
      const error = Math.abs(actual[i]! - expected[i]!);
      if (!(error <= bound)) {
        const which = [name, variant, dtype].filter(Boolean).join(' ');
        throw new Error(
          `[${op}] ${which}: [${row}, ${i}] is ${actual[i]}, not ${expected[i]} (allowed error ${bound})`,
        );
      }
      if (error > 0) worst = Math.max(worst, error / bound);
    }
  }
  return worst;
}
