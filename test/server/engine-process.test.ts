import { spawn as spawnProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import type { EngineOptions } from '../../src/rerank/engine.ts';
import { spawnEngine, type EngineProcess, type SpawnOptions } from '../../src/server/engine-process.ts';
import { fakeInfo, fakeLogit, trouble } from '../support/fake-engine.ts';

const engineModule = new URL('../support/fake-engine.ts', import.meta.url);
const started: EngineProcess[] = [];

async function start(options: Partial<EngineOptions> = {}, spawn: SpawnOptions = {}): Promise<EngineProcess> {
  const engine = await spawnEngine({ modelDir: 'fake', ...options }, { engineModule, ...spawn });
  started.push(engine);
  return engine;
}

const pair = (...ids: number[]) => ({ ids: Int32Array.from(ids), truncatedTokens: 0 });
const withCode = (code: string) => expect.objectContaining({ name: 'WgrankError', code });

/** Whether a process runs. Signal 0 only asks; a zombie that nobody has reaped yet counts as gone. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    return error instanceof Error && 'syscall' in error && error.syscall === 'open' && process.platform !== 'linux';
  }
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((engine) => engine.close()));
});

// Starting a process takes half a second: calls that leave it healthy share one.
describe('a living process', () => {
  let engine: EngineProcess;
  beforeAll(async () => {
    engine = await spawnEngine({ modelDir: 'fake', model: 'some/name', maxLength: 77 }, { engineModule });
  });
  afterAll(() => engine.close());

  test('info, options and scores cross the boundary, in order', async () => {
    expect(engine.info).toEqual({ ...fakeInfo, model: 'some/name', maxTokens: 77 });
    const pairs = [pair(5, 6, 7), pair(), pair(1), pair(2147483647, 0, -2147483648)];
    const logits = await engine.score(pairs);
    expect(logits).toBeInstanceOf(Float32Array);
    expect([...logits]).toEqual(pairs.map((p) => fakeLogit(p.ids)));
    expect(await engine.stats()).toEqual({
      queuedPairs: 0,
      queuedTokens: 0,
      batches: 1,
      batchTokens: 0,
      gpuBytes: 123,
    });
  });

  test('1,000 pairs of 200 tokens in one call, views into a larger buffer', async () => {
    const all = Int32Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 250_002);
    const pairs = Array.from({ length: 1000 }, (_, i) => ({
      ids: all.subarray(i * 200, i * 200 + 200),
      truncatedTokens: 3,
    }));
    expect([...(await engine.score(pairs))]).toEqual(pairs.map((p) => fakeLogit(p.ids)));
  });

  test('concurrent calls get their own answers', async () => {
    const calls = Array.from({ length: 50 }, (_, i) => pair(i % 2 === 0 ? trouble.slow : i, i));
    const answers = await Promise.all(calls.map((p) => engine.score([p])));
    expect(answers.map(([logit]) => logit)).toEqual(calls.map((p) => fakeLogit(p.ids)));
  });

  test('no pairs: an empty answer', async () => {
    expect(await engine.score([])).toEqual(new Float32Array());
  });

  test('a named error keeps its code and message', async () => {
    const failed = engine.score([pair(trouble.deviceLost)]);
    await expect(failed).rejects.toEqual(withCode('device-lost'));
    await expect(failed).rejects.toThrow('[fake] the device is gone');
    await expect(failed).rejects.toBeInstanceOf(WgrankError);
    expect([...(await engine.score([pair(4)]))]).toEqual([fakeLogit(Int32Array.of(4))]);
  });

  test('an unnamed error stays unnamed and the process lives on', async () => {
    const failed = engine.score([pair(trouble.unnamed)]);
    await expect(failed).rejects.toThrow(/^a bug$/);
    await expect(failed).rejects.not.toBeInstanceOf(WgrankError);
    expect(await engine.score([pair(4)])).toHaveLength(1);
  });

  test('an abort rejects at once and reaches the engine', async () => {
    const before = (await engine.stats()).queuedPairs;
    const controller = new AbortController();
    const hanging = engine.score([pair(trouble.hang)], controller.signal);
    setTimeout(() => controller.abort(), 50);
    await expect(hanging).rejects.toEqual(withCode('cancelled'));
    expect((await engine.stats()).queuedPairs).toBe(before + 1);
  });

  test('an aborted signal sends nothing', async () => {
    const { batches } = await engine.stats();
    await expect(engine.score([pair(1)], AbortSignal.abort())).rejects.toEqual(withCode('cancelled'));
    expect((await engine.stats()).batches).toBe(batches);
  });
});

describe('loading', () => {
  test.each(['checkpoint-invalid', 'adapter-missing'])('loading fails with %s', async (code) => {
    await expect(start({ model: `fail:${code}` })).rejects.toEqual(withCode(code));
  });

  test('loading fails without a code', async () => {
    await expect(start({ model: 'fail-unnamed' })).rejects.toThrow(/^loading fails without a name$/);
  });

  test('a process that dies while loading is named', async () => {
    const dead = start({ model: 'load-exit' });
    await expect(dead).rejects.toEqual(withCode('engine-stopped'));
    await expect(dead).rejects.toThrow('exit code 3');
  });

  test('loading can be given up', async () => {
    const controller = new AbortController();
    const hanging = start({ model: 'load-hang' }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 300);
    await expect(hanging).rejects.toEqual(withCode('cancelled'));
    await expect(start({}, { signal: AbortSignal.abort() })).rejects.toEqual(withCode('cancelled'));
  });
});

describe('the end of the process', () => {
  test('kill -9 rejects everything pending, and everything after', async () => {
    const engine = await start();
    const pending = [engine.score([pair(trouble.hang)]), engine.score([pair(trouble.hang)])];
    const outcomes = Promise.allSettled(pending);
    process.kill(engine.pid, 'SIGKILL');
    expect(await outcomes).toEqual(pending.map(() => ({ status: 'rejected', reason: withCode('engine-stopped') })));
    expect(await engine.exited).toBe('SIGKILL');
    await expect(engine.score([pair(1)])).rejects.toEqual(withCode('engine-stopped'));
    await expect(engine.stats()).rejects.toEqual(withCode('engine-stopped'));
    await engine.close();
  });

  test('an exit in the middle of a call rejects it', async () => {
    const engine = await start();
    await expect(engine.score([pair(trouble.exit)])).rejects.toThrow('exit code 9');
    expect(await engine.exited).toBe('exit code 9');
  });

  test('an engine that can score no more answers with the reason, and its process ends', async () => {
    const engine = await start();
    await expect(engine.score([pair(trouble.dead)])).rejects.toMatchObject({ code: 'device-lost' });
    expect(await engine.exited).toBe('exit code 1');
    await expect(engine.score([pair(1)])).rejects.toMatchObject({ code: 'engine-stopped' });
  });

  test('close ends it gracefully, and is safe to repeat', async () => {
    const engine = await start();
    await Promise.all([engine.close(), engine.close()]);
    expect(await engine.exited).toBe('exit code 0');
    expect(isAlive(engine.pid)).toBe(false);
    await expect(engine.score([pair(1)])).rejects.toThrow('[engine] the engine is closed');
  });

  test.each([
    ['hangs in close', { model: 'close-hang' }, false],
    ['spins', {}, true],
  ])('a process that %s is killed after the grace', async (_, options, spins) => {
    const engine = await start(options, { closeGraceMs: 200 });
    const pending = spins ? engine.score([pair(trouble.spin)]).catch((error: unknown) => error) : undefined;
    await engine.close();
    expect(await engine.exited).toBe('SIGKILL');
    if (spins) expect(await pending).toEqual(withCode('engine-stopped'));
  });

  test('SIGINT and SIGTERM to the group do not end it: the parent decides', async () => {
    const engine = await start();
    const pending = engine.score([pair(trouble.slow)]);
    process.kill(engine.pid, 'SIGINT');
    process.kill(engine.pid, 'SIGTERM');
    expect(await pending).toHaveLength(1);
  });

  test('the death of the parent ends the child', async () => {
    const holder = fileURLToPath(new URL('./engine-holder.ts', import.meta.url));
    const parent = spawnProcess(process.execPath, ['--import', 'tsx', holder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(parent.stdout!, 'data')) as [Buffer];
    const childPid = Number(line.toString());
    expect(isAlive(childPid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(childPid), { timeout: 5000 }).toBe(false);
  });
});
