/**
 * Pictures to patches of 16 pixels, two frames, as Qwen3-VL has them: four patches a token.
 *
 *   npx tsx bench/ops/patchify.bench.ts [--case picture] [--tokens N] [--json FILE]
 */
import { patchify, patchWords } from '../../src/ops/patchify.ts';
import { Random } from '../../test/fuzz/random.ts';
import { patchify as reference, type PatchPlace } from '../../test/reference/patchify.ts';
import { runIfMain, type BenchCase, type Workload } from './harness.ts';

const side = 16;
const columns = 3 * 2 * side * side;
const half = [127.5, 127.5, 127.5] as const;
const format = { patchSize: side, temporalPatchSize: 2, mean: half, std: half };

export function* patchifyBench({ tokens }: Workload): Generator<BenchCase[]> {
  yield [patchifyCase('picture', 4 * tokens, 1), patchifyCase('video', 4 * tokens, 2)];
}

/** Squares of 2 x 2 patches one behind the other, in one strip of pixels, or in one for each of the patch's frames. */
function patchifyCase(name: string, count: number, frames: 1 | 2): BenchCase {
  const rowBytes = (count / 2) * 3 * side;
  const frameBytes = rowBytes * 2 * side;
  const random = new Random(1);
  const pixels = Uint32Array.from({ length: (frames * frameBytes) / 4 }, () => random.below(2 ** 32));
  const places = Array.from({ length: count }, (_, p): PatchPlace => {
    const [row, column] = [(p >> 1) % 2, 2 * (p >> 2) + (p % 2)];
    const first = row * side * rowBytes + column * 3 * side;
    return { frames: [first, first + (frames - 1) * frameBytes], rowBytes };
  });
  return {
    op: 'patchify',
    name,
    shape: `${count} of ${side}x${side}`,
    bytes: 4 * (pixels.length + count * columns),
    operands: (op) => {
      const words = Uint32Array.from(places.flatMap((place) => [...place.frames, place.rowBytes, 0]));
      const patches = op.weight('patches', 'u32', [count, patchWords], words);
      const bytes = op.weight('pixels', 'u32', [pixels.length], pixels);
      return () => patchify(op.graph, bytes, patches, format);
    },
    rows: count,
    reference: (row) => reference(new Uint8Array(pixels.buffer), [places[row]!], side, half, half),
    bound: 6 * 2 ** -24, // of values within ±1
  };
}

await runIfMain(import.meta.filename, patchifyBench);
