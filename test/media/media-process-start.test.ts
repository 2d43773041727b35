import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';

import { WgrankError } from '../../src/errors.ts';
import { canReadMemory, closeProcesses, pictureFile, rules, startProcess } from './media-setup.ts';

const folder = mkdtempSync(join(tmpdir(), 'wgrank-media-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  vi.unstubAllEnvs();
  await closeProcesses();
});

const good = { kind: 'image', bytes: pictureFile('420.jpg') } as const;

/** A process that does something else. */
function moduleOf(name: string, code: string): URL {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, code);
  return pathToFileURL(path);
}

async function failureOf(call: Promise<unknown>): Promise<WgrankError> {
  const error = await call.catch((error: unknown) => error);
  expect(error).toBeInstanceOf(WgrankError);
  return error as WgrankError;
}

describe('starting the processes that decode', () => {
  test('one that is never ready is killed, and the tasks fail', async () => {
    const childModule = moduleOf('silent', `process.on('message', () => {}); setInterval(() => {}, 1000);`);
    const decoder = startProcess({ childModule, startLimitMs: 1500 });
    const calls = [decoder.encode(good), decoder.encode(good)];
    const [pid] = decoder.pids;
    for (const call of calls)
      expect(await failureOf(call)).toMatchObject({
        code: 'engine-stopped',
        message: "[media] the decoder's process does not start: not ready after 1500 ms",
      });
    expect(() => process.kill(pid!, 0)).toThrow('ESRCH');
    expect(decoder.pids).toEqual([]);
  });

  test('the log learns what one complained about that cannot start, in one line', async () => {
    const childModule = moduleOf(
      'broken',
      `console.error('x'.repeat(5000) + '\\nlibrary\\tis missing'); process.exit(3);`,
    );
    const { code, message } = await failureOf(startProcess({ childModule }).encode(good));
    expect(code).toBe('engine-stopped');
    expect(message).toMatch(/^\[media\] the decoder's process does not start: exit code 3: x+ library is missing$/);
    expect(message.length).toBeLessThan(2100);
  });

  test('one that dies before it has begun with a task is replaced once', async () => {
    const begin = `process.on('message', ({ kind }) => kind === 'load' ? process.send({ kind: 'ready' }) : process.exit(7));`;
    const decoder = startProcess({ childModule: moduleOf('mortal', begin) });
    const pids = new Set<number>();
    const look = setInterval(() => decoder.pids.forEach((pid) => pids.add(pid)), 5);
    expect(await failureOf(decoder.encode(good))).toMatchObject({
      code: 'engine-stopped',
      message: "[media] the decoder's process ended twice before it began: exit code 7",
    });
    clearInterval(look);
    expect(pids.size).toBe(2);
  });

  test('closing returns when a process could not be started at all', async () => {
    const { execPath } = process;
    const [closed, open] = [startProcess(), startProcess()];
    process.execPath = join(folder, 'no-such-node');
    const calls = [closed.encode(good), open.encode(good)].map(failureOf);
    process.execPath = execPath;
    await closed.close();
    const messages = (await Promise.all(calls)).map(({ message }) => message);
    expect(messages[0]).toBe('[media] it is closed');
    expect(messages[1]).toMatch(/^\[media\] the decoder's process does not start: spawn .*ENOENT$/);
    // It is tried again when it is needed again.
    expect(await open.encode(good)).toMatchObject({ width: 128 });
  });

  test('it sees of the environment what libraries need, and no secrets', async () => {
    if (!canReadMemory) return console.warn('skipped: the environment of a process is read on Linux only');
    vi.stubEnv('HF_TOKEN', 'secret');
    vi.stubEnv('NODE_OPTIONS', '--no-deprecation');
    vi.stubEnv('VIPS_CONCURRENCY', '1');
    const decoder = startProcess();
    await decoder.encode(good);
    const environment = readFileSync(`/proc/${decoder.pids[0]}/environ`, 'utf8').split('\0');
    const names = environment.map((line) => line.split('=')[0]!).filter((name) => name !== '');
    expect(names).toEqual(expect.arrayContaining(['PATH', 'VIPS_CONCURRENCY', 'VIPS_BLOCK_UNTRUSTED']));
    const known = /^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LD_LIBRARY_PATH|DYLD_.*|VIPS_.*|NODE_CHANNEL_.*|NODE_V8_COVERAGE)$/;
    expect(names.filter((name) => !known.test(name))).toEqual([]);
  });

  test('a fault of the process’s own keeps its words', async () => {
    const { video: _, ...incomplete } = rules;
    const decoder = startProcess({ rules: incomplete as typeof rules });
    const error: unknown = await decoder
      .encode({ kind: 'video', pictures: [good.bytes] })
      .catch((error: unknown) => error);
    expect(error).toMatchObject({ name: 'Error', message: 'the process that decodes failed at something of its own' });
    expect(await decoder.encode(good)).toMatchObject({ width: 128 });
  });
});
