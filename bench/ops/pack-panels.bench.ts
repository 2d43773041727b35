/**
 * Repacking of the model's weights, which every load pays once for each layer. f16 stands for both 16-bit types.
 *
 *   npx tsx bench/ops/pack-panels.bench.ts [--case up] [--dtype f16] [--json FILE]
 */
import { foldGroups } from '../../src/graph/graph.ts';
import { packedWords, packPanelsShader } from '../../src/ops/pack-panels.ts';
import { store } from '../../test/ops/values.ts';
import { packPanels as reference } from '../../test/reference/pack-panels.ts';
import { model, numbers, runIfMain, type BenchCase, type Workload } from './harness.ts';

const { hidden, intermediate } = model;

export function* packPanelsBench({ dtypes }: Workload): Generator<BenchCase[]> {
  for (const [name, n, k] of [
    ['query', hidden, hidden],
    ['up', intermediate, hidden],
    ['down', hidden, intermediate],
  ] as const) {
    yield dtypes.filter((dtype) => dtype !== 'bf16').map((dtype) => packCase(name, n, k, dtype));
  }
}

/** A row of the output is a panel: its words, read as f32, which are finite. */
function packCase(name: string, n: number, k: number, dtype: 'f32' | 'f16'): BenchCase {
  const half = dtype === 'f16';
  const { words } = store(dtype, numbers(1, n * k));
  const bits = new (half ? Uint16Array : Uint32Array)(words.buffer as ArrayBuffer);
  return {
    op: 'pack-panels',
    name,
    dtype,
    shape: `${n}x${k}`,
    bytes: 2 * words.byteLength,
    operands: (op) => {
      const w = op.weight('w', 'u32', [words.length], words);
      return () => {
        const packed = op.graph.intermediate('packed', 'u32', [packedWords(n, k, half)]);
        op.graph.launch({
          op: 'pack-panels',
          shader: packPanelsShader(half),
          params: [
            ['u', n],
            ['u', k],
            ['u', 0],
          ],
          bindings: [w, packed],
          writes: [packed],
          groups: () => foldGroups(Math.ceil(packedWords(n, k, half) / 64)),
        });
        return packed;
      };
    },
    rows: n / 32,
    reference: (panel) => {
      const packed = reference(bits.subarray(panel * 32 * k, (panel + 1) * 32 * k), 32, k);
      return new Float32Array((half ? Uint16Array : Uint32Array).from(packed).buffer);
    },
    bound: 0,
  };
}

await runIfMain(import.meta.filename, packPanelsBench);
