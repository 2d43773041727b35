import { describe, expect, it } from 'vitest';
import { Graph } from '../../src/graph/graph.ts';
import { elementwise } from '../../src/ops/elementwise.ts';
import { epilogueKinds, type Epilogue } from '../../src/ops/epilogue.ts';
import {
  matmul,
  matmulVariants,
  runsMatmul,
  type MatmulVariant,
  type MatmulVariantName,
} from '../../src/ops/matmul.ts';
import { elementwise as referenceEpilogue } from '../reference/elementwise.ts';
import { matmul as reference } from '../reference/matmul.ts';
import { epilogueOf } from '../support/epilogue-of.ts';
import { runOp, runOps, testGpu, type OpCase } from '../support/op-harness.ts';
import { describeCases, expectClose, expectSameBits, type Case } from './cases.ts';
import { largest, storageDtypes, store, uniform, type StorageDtype } from './values.ts';

/**
 * K additions round partial sums that grow with sqrt(k): their roundings of random sign come to about 6e-9 K for products within
 * ±1, and to 8.5 times that in the worst output here, whose sums run high. The 16 is for the few large roundings of short sums.
 */
const relativeError = (K: number) => 8e-8 * (K + 16);
/** What an epilogue adds: one rounding per addition, and the errors of erf, exp and tanh that elementwise.test.ts bounds. */
const epilogueError = 1e-6;

interface Program extends Case {
  readonly variant: MatmulVariantName;
  readonly dtype: StorageDtype;
  readonly kind: Epilogue['kind'];
}

interface MatmulCase extends Program {
  readonly R: number;
  readonly N: number;
  readonly K: number;
  readonly seed: number;
}

const { gpu } = await testGpu();
const allVariants = Object.keys(matmulVariants) as MatmulVariantName[];
const variants = allVariants.filter((name) => runsMatmul(name, gpu.traits));
for (const name of allVariants) {
  if (variants.includes(name)) continue;
  const needed = (matmulVariants[name] as MatmulVariant).subgroupSize;
  const found = `${gpu.traits.adapter} has ${gpu.traits.subgroupSize}`;
  describe.skip(`matmul ${name}: needs subgroups of ${needed}, ${found}`, () => it('runs', () => undefined));
}

/**
 * Every variant with every dtype and every epilogue is 63 programs. lavapipe compiles one in 2 to 14 seconds, so it gets every
 * variant with every epilogue and every dtype with every epilogue at least once; OP_PROGRAMS=all runs them all there too.
 */
const everything = process.env['OP_PROGRAMS'] === 'all' || !/llvmpipe/.test(gpu.traits.adapter);
const programs: Program[] = variants.flatMap((variant, v) =>
  storageDtypes.flatMap((dtype, d) =>
    epilogueKinds
      .filter((kind, e) => everything || kind === 'none' || (v + d + e) % 3 === 0)
      .map((kind) => ({ variant, dtype, kind })),
  ),
);
if (!everything)
  console.warn(
    `matmul: ${programs.length} of ${variants.length * 3 * epilogueKinds.length} programs on ${gpu.traits.adapter} (OP_PROGRAMS=all for the rest)`,
  );

// Tiles have 8, 24 or 64 rows, 32 or 64 columns, and 16 steps of k.
const rowCounts = [1, 7, 8, 9, 23, 24, 25, 63, 64, 65];
const columnCounts = [4, 28, 32, 36, 60, 64, 68, 132];
const innerSizes = [4, 12, 16, 20, 64, 68];
const shapes = [
  ...rowCounts.flatMap((R) => columnCounts.map((N) => ({ R, N, K: 20 }))),
  ...innerSizes.flatMap((K) => [4, 36, 132].map((N) => ({ R: 9, N, K }))),
];
const large = [
  { R: 33, N: 96, K: 1024 },
  { R: 17, N: 36, K: 4096 },
];

const cases: MatmulCase[] = programs.flatMap((program) =>
  [...shapes, ...large].map((shape, seed) => ({ ...program, ...shape, seed })),
);

function valuesOf({ R, N, K, dtype, seed }: MatmulCase) {
  return {
    x: uniform(seed, R * K),
    weight: store(dtype, uniform(seed + 1000, N * K)),
    bias: uniform(seed + 2000, N),
    residual: uniform(seed + 3000, R * N),
  };
}
type Values = ReturnType<typeof valuesOf>;

function operands(op: OpCase, one: MatmulCase, values: Values) {
  op.sizes = { R: one.R };
  const x = op.input('x', 'f32', ['R', one.K], values.x);
  const weight = op.weight('weight', one.dtype, [one.N, one.K], values.weight.words);
  const epilogue = epilogueOf(
    one.kind,
    () => op.weight('bias', 'f32', [one.N], values.bias),
    () => op.input('residual', 'f32', ['R', one.N], values.residual),
  );
  return { x, weight, epilogue };
}

const run = (one: MatmulCase, values: Values) =>
  runOp((op) => {
    const { x, weight, epilogue } = operands(op, one, values);
    return matmul(op.graph, one.variant, x, weight, epilogue);
  });

const title = ({ variant, dtype, kind }: Program) => `${variant}, ${dtype} weight, ${kind}`;

describeCases('matmul', 'sizes', cases, title, async (one) => {
  const { R, N, K, kind } = one;
  const values = valuesOf(one);
  const product = reference(values.x, values.weight.values, R, N, K);
  const expected = referenceEpilogue(kind, product, values.bias, values.residual);
  const rounding = relativeError(K) * largest(values.x) * largest(values.weight.values);
  // GELU's slope is at most 1.13, all others' at most 1.
  const bound = 1.13 * rounding + (kind === 'none' ? 0 : epilogueError * Math.max(1, largest(expected)));
  expectClose(`matmul K=${K} ${kind}`, await run(one, values), expected, bound);
});

const batch = { R: 65, N: 132, K: 68, seed: 5 };
const batches = programs
  .filter(({ kind }) => kind === 'none' || kind === 'bias-residual')
  .map((p) => ({ ...p, ...batch }));

describeCases('matmul', 'alone = in a batch', batches, title, async (one) => {
  const values = valuesOf(one);
  const all = await run(one, values);
  const rows = (x: Float32Array, width: number, first: number, end: number) => x.slice(first * width, end * width);
  for (const [first, end] of [
    [0, 1],
    [7, 8],
    [8, 9],
    [60, 65],
    [64, 65],
  ] as const) {
    const part = {
      ...values,
      x: rows(values.x, one.K, first, end),
      residual: rows(values.residual, one.N, first, end),
    };
    expectSameBits(await run({ ...one, R: end - first }, part), rows(all, one.N, first, end));
  }
});

const fusible = programs.filter(({ kind }) => kind !== 'none').map((program) => ({ ...program, ...batch }));

describeCases('matmul', 'fused = unfused', fusible, title, async (one) => {
  const values = valuesOf(one);
  const [fused, unfused] = await runOps((op) => {
    const { x, weight, epilogue } = operands(op, one, values);
    const product = matmul(op.graph, one.variant, x, weight, { kind: 'none' });
    return [matmul(op.graph, one.variant, x, weight, epilogue), elementwise(op.graph, product, epilogue)];
  });
  expectSameBits(fused!, unfused!);
});

describe('matmul', () => {
  it('is exact where every product and sum is', async () => {
    const one: MatmulCase = { variant: 'rows', dtype: 'f32', kind: 'none', R: 9, N: 36, K: 20, seed: 0 };
    const x = Float32Array.from({ length: 180 }, (_, i) => (i % 13) - 6);
    const weight = store(
      'f32',
      Float32Array.from({ length: 720 }, (_, i) => (i % 7) - 3),
    );
    const out = await run(one, { ...valuesOf(one), x, weight });
    expect([...out]).toEqual([...reference(x, weight.values, 9, 36, 20)].map((v) => v + 0));
  });

  it('refuses shapes that do not fit, with the shapes', () => {
    const graph = new Graph();
    const input = (name: string, ...shape: (number | string)[]) => graph.input(name, 'f32', shape);
    const [x, none] = [input('x', 'R', 8), { kind: 'none' } as const];
    const product = (a: typeof x, b: typeof x, epilogue: Epilogue = none) => matmul(graph, 'tiled', a, b, epilogue);
    expect(() => product(x, input('w', 4, 12))).toThrow(
      '[matmul] K of weight is 12 (expected 8 as before): x f32[R, 8] · weight f32[4, 12]',
    );
    expect(() => product(input('x', 8), x)).toThrow('[matmul] x has 1 axes (expected [R, K])');
    expect(() => product(input('x', 'R', 6), input('w', 4, 6))).toThrow('[matmul] K is 6 (');
    expect(() => product(x, input('w', 6, 8))).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringContaining('N is 6') as string }),
    );
    expect(() => product(x, input('w', 4, 8), { kind: 'bias', bias: input('b', 8) })).toThrow(
      'N of bias is 8 (expected 4',
    );
    const residual = input('r', 'S', 4);
    expect(() => product(x, input('w', 4, 8), { kind: 'bias-residual', bias: input('b', 4), residual })).toThrow(
      'R of residual is S (expected R as before)',
    );
  });
});
