/**
 * How fast a 12-megapixel JPEG becomes the pixels that the model reads, against Pillow and numpy.
 *
 *   npx tsx bench/media/picture.bench.ts [--python PYTHON] [--rounds 9]
 *
 * The sides take turns in every round: wgrank in this process (decode, resize), wgrank through its media process (the same, with
 * the way there and back and the hash), and with `--python` Pillow and numpy (decode, resize, normalise, patchify; wgrank leaves
 * the last two to the GPU). All make the same resized pixels, or the bench ends. One round warms up and is not counted.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { resizeBicubic } from '../../src/media/bicubic.ts';
import { decodePicture } from '../../src/media/decode-picture-node.ts';
import { MediaProcess } from '../../src/media/media-process-node.ts';
import type { MediaRules } from '../../src/media/media-rules.ts';
import { smartResizeImage } from '../../src/media/smart-resize.ts';

const { values } = parseArgs({ options: { python: { type: 'string' }, rounds: { type: 'string', default: '9' } } });
const width = 4000;
const height = 3000;
const rules: MediaRules = {
  patchSize: 16,
  temporalPatchSize: 2,
  mergeSize: 2,
  mean: [127.5, 127.5, 127.5],
  std: [127.5, 127.5, 127.5],
  image: { minPixels: 4096, maxPixels: 1_310_720 },
  video: { minPixels: 4096, maxPixels: 25_165_824, fps: 2, minFrames: 4, maxFrames: 768 },
};

/** Slopes, edges and grain, as a camera's JPEG has them; the same bytes on every run. */
async function makePicture(): Promise<Buffer> {
  const rgb = Buffer.alloc(width * height * 3);
  let state = 1;
  for (let y = 0, at = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const edge = ((x >> 8) + (y >> 8)) % 3 === 0 ? 40 : 0;
      for (let channel = 0; channel < 3; channel += 1, at += 1) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        const slope = 100 + 60 * Math.sin(x / (211 + 90 * channel)) * Math.cos(y / (173 - 30 * channel));
        rgb[at] = slope + edge + (state >>> 28);
      }
    }
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

interface Side {
  readonly name: string;
  /** @returns milliseconds and the hash of the resized pixels */
  run(): Promise<{ ms: number; hash: string }>;
}

const sha256 = (rgb: Uint8Array) => createHash('sha256').update(rgb).digest('hex');
const picture = await makePicture();
const to = smartResizeImage(height, width, { factor: 32, ...rules.image });
const folder = mkdtempSync(join(tmpdir(), 'wgrank-bench-'));
const decoder = new MediaProcess({ rules, workers: 1 });
const sides: Side[] = [
  {
    name: 'wgrank in one process',
    async run() {
      const started = performance.now();
      const { rgb } = await decodePicture(picture, { applyExif: false });
      const resized = resizeBicubic(rgb, width, height, to.width, to.height);
      return { ms: performance.now() - started, hash: sha256(resized) };
    },
  },
  {
    name: 'wgrank through its process',
    async run() {
      const started = performance.now();
      const { rgb } = await decoder.encode({ kind: 'image', bytes: picture });
      return { ms: performance.now() - started, hash: sha256(rgb) };
    },
  },
];

/** Starts the other side. @returns its versions */
async function startPython(python: string): Promise<{ versions: string; end(): void }> {
  const file = join(folder, 'picture.jpg');
  writeFileSync(file, picture);
  const script = fileURLToPath(new URL('pillow_side.py', import.meta.url));
  const child = spawn(python, [script, file, String(to.width), String(to.height)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const read = async () => String((await once(lines, 'line'))[0]);
  sides.push({
    name: 'Pillow and numpy',
    async run() {
      const line = read();
      child.stdin.write('\n');
      const [ms, hash] = (await line).split(' ');
      return { ms: Number(ms), hash: hash! };
    },
  });
  return { versions: await read(), end: () => child.stdin.end() };
}

const python = values.python === undefined ? undefined : await startPython(values.python);
const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[times.length >> 1]!;
const rate = (ms: number) => (width * height) / 1e3 / ms;

console.log(
  `JPEG of ${width} x ${height}, ${(picture.length / 1e6).toFixed(1)} MB → ${to.width} x ${to.height} · ${cpus()[0]?.model}, ` +
    `${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} · node ${process.version}, sharp ${sharp.versions['sharp']}` +
    (python === undefined ? '' : ` · ${python.versions}`),
);
const times = sides.map((): number[] => []);
for (let round = 0; round <= Number(values.rounds); round += 1) {
  const hashes: string[] = [];
  for (const [index, side] of sides.entries()) {
    const { ms, hash } = await side.run();
    if (round > 0) times[index]!.push(ms);
    hashes.push(hash);
  }
  if (new Set(hashes).size !== 1) throw new Error(`the pixels differ: ${hashes.join(' ')}`);
}
const other = python === undefined ? undefined : median(times.at(-1)!);
for (const [index, { name }] of sides.entries()) {
  const ms = median(times[index]!);
  const ratio = other === undefined ? '' : ` · ${(other / ms).toFixed(2)} of Pillow and numpy`;
  console.log(
    `${name}: ${rate(ms).toFixed(1)} MP/s · median ${ms.toFixed(0)} ms, ${Math.min(...times[index]!).toFixed(0)} to ` +
      `${Math.max(...times[index]!).toFixed(0)} of ${times[index]!.length} rounds${ratio}`,
  );
}
python?.end();
await decoder.close();
rmSync(folder, { recursive: true });
