import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint-node.ts';
import { parseSafetensors, preambleBytes, readHeaderLength } from '../../src/checkpoint/safetensors.ts';
import type { StoredTensor } from '../../src/checkpoint/safetensors-header.ts';
import { WgrankError } from '../../src/errors.ts';
import { frameHeader } from '../checkpoint/build-safetensors.ts';
import { checkSlowly } from '../checkpoint/check-slowly.ts';
import { countOpenFiles } from '../checkpoint/temporary-model.ts';
import { tiered } from '../support/tier.ts';
import { makeFuzzCase } from './mutate-safetensors.ts';
import { Random } from './random.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_801);
const cases = Number(process.env['FUZZ_CASES'] ?? tiered(50_000, 1_000_000));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wgrank-fuzz-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** The reader on bytes in memory: the tensors, or the refusal. Anything but a WgrankError passes through and fails the test. */
function read(bytes: Uint8Array): ReadonlyMap<string, StoredTensor> | WgrankError {
  try {
    const length = readHeaderLength(bytes.subarray(0, preambleBytes), bytes.length, 'model.safetensors');
    return parseSafetensors(bytes.subarray(8, 8 + length), bytes.length, 'model.safetensors').tensors;
  } catch (error) {
    if (error instanceof WgrankError) return error;
    throw error;
  }
}

function plain(tensors: ReadonlyMap<string, StoredTensor>): unknown[] {
  return [...tensors].map(([key, t]) => [
    key,
    t.name,
    t.dtype,
    t.shape.map(BigInt),
    BigInt(t.begin),
    BigInt(t.begin + t.byteLength),
  ]);
}

const size = 8_000_000;
const entry = (name: string) => `"${name}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`;
/** What each makes a reader without limits do again and again. */
const largeHeaders: [string, string, RegExp | undefined][] = [
  ['nothing but brackets', `{"a":${'['.repeat(size)}`, /expected/],
  ['nothing but braces', '{"a":'.repeat(size / 5), /occurs|expected|nested|unknown/],
  ['one name without end', `{"${'a'.repeat(size)}`, /a key is not closed/],
  ['one name of escapes', `{"${'\\u0061'.repeat(size / 6)}":1}`, /expected|long/],
  ['spaces', `{${' '.repeat(size)}`, /expected/],
  [
    'one number',
    `{"a":{"dtype":"U8","shape":[${'1'.repeat(size)}],"data_offsets":[0,1]}}`,
    /number|integer|whole|shape/,
  ],
  ['one shape', `{"a":{"dtype":"U8","shape":[${'1,'.repeat(size / 2)}1],"data_offsets":[0,1]}}`, /shape|dimensions/],
  ['one tensor again and again', `{${Array.from({ length: size / 54 }, () => entry('a')).join(',')}}`, /twice/],
  ['metadata', `{"__metadata__":{${Array.from({ length: size / 14 }, (_, i) => `"${i}":""`).join(',')}}}`, /metadata/],
];

describe('the safetensors reader is total', () => {
  it(`agrees with the slow checker on ${cases} files of seed ${seed}`, { timeout: 3_600_000 }, () => {
    let accepted = 0;
    for (let i = 0; i < cases; i++) {
      const { bytes, steps } = makeFuzzCase(new Random(seed + i));
      const replay = `FUZZ_SEED=${seed + i} FUZZ_CASES=1 (${steps.join(', ')}): ${Buffer.from(bytes).toString('base64')}`;
      const started = performance.now();
      let result;
      try {
        result = read(bytes);
      } catch (error) {
        throw new Error(`not a named error: ${replay}`, { cause: error });
      }
      const took = performance.now() - started;
      const slow = checkSlowly(bytes, bytes.length);
      if (took > 1000) expect.fail(`took ${took} ms: ${replay}`);
      if (result instanceof WgrankError) {
        if (typeof slow !== 'string') expect.fail(`refused with “${result.message}”, but the file is valid: ${replay}`);
        if (result.code !== 'checkpoint-invalid') expect.fail(`code ${result.code}: ${replay}`);
        if (!result.message.startsWith('[safetensors] "model.safetensors": '))
          expect.fail(`${result.message}: ${replay}`);
      } else {
        if (typeof slow === 'string') expect.fail(`accepted, but ${slow}: ${replay}`);
        const expected = [...slow].map(([name, t]) => [name, name, t.dtype, t.shape, t.begin, t.end]);
        expect(plain(result), replay).toEqual(expected);
        accepted++;
      }
    }
    // The generator would prove little if nearly all files were of one kind.
    if (cases >= 1000) expect(accepted / cases, 'share of valid files').toBeGreaterThan(0.15);
    if (cases >= 1000) expect(accepted / cases, 'share of valid files').toBeLessThan(0.6);
  });

  it('reads the same verdicts from disk, and leaves no file open', async () => {
    const path = join(folder, 'model.safetensors');
    const before = await countOpenFiles();
    for (let i = 0; i < tiered(300, 10_000); i++) {
      const { bytes, steps } = makeFuzzCase(new Random(seed + i));
      await writeFile(path, bytes);
      const message = await openCheckpoint(folder).then(
        async (checkpoint) => checkpoint.close(),
        (error: unknown) => (error instanceof WgrankError ? error.code : `not a named error: ${String(error)}`),
      );
      const expected = typeof checkSlowly(bytes, bytes.length) === 'string' ? 'checkpoint-invalid' : undefined;
      expect(message, `FUZZ_SEED=${seed + i} (${steps.join(', ')})`).toBe(expected);
    }
    expect(await countOpenFiles()).toBe(before);
  });

  it.each(largeHeaders)('a header of 8 MB, %s: refused or read within a second and 64 MB', (_, header, verdict) => {
    const bytes = frameHeader(header);
    const before = process.memoryUsage().rss;
    const started = process.cpuUsage();
    const result = read(bytes);
    const { user, system } = process.cpuUsage(started);
    const grown = process.memoryUsage().rss - before;
    if (verdict === undefined) expect(result).toBeInstanceOf(Map);
    else
      expect(result).toMatchObject({ code: 'checkpoint-invalid', message: expect.stringMatching(verdict) as string });
    expect((user + system) / 1000).toBeLessThan(1000);
    expect(grown / 2 ** 20).toBeLessThan(64);
  });

  it('takes a sparse file of 1 TB by its header alone', async () => {
    const path = join(folder, 'model.safetensors');
    const terabyte = 2 ** 40;
    const started = performance.now();

    const good = frameHeader(`{"a":{"dtype":"F16","shape":[${terabyte / 2}],"data_offsets":[0,${terabyte}]}}`);
    await writeFile(path, good);
    await truncate(path, good.length + terabyte);
    const checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.get('a')?.byteLength).toBe(terabyte);
    const tail = new Uint8Array([1, 2, 3, 4]);
    await checkpoint.read('a', terabyte - 4, tail);
    expect([...tail]).toEqual([0, 0, 0, 0]);
    await checkpoint.close();

    await truncate(path, good.length + terabyte + 1);
    await expect(openCheckpoint(folder)).rejects.toThrow(/1 belong to none/);

    // A header length of 100 MB over zeros: refused by the first byte, without reading it.
    const file = await open(path, 'w');
    await file.write(frameHeader('', 0, 100_000_000n));
    await file.truncate(terabyte);
    await file.close();
    await expect(openCheckpoint(folder)).rejects.toThrow(/does not begin with '{'/);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
