import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { spawnEngine, type EngineProcess } from '../../src/server/engine-process.ts';
import { EngineStandby } from '../../src/server/engine-standby.ts';
import { SupervisedEngine } from '../../src/server/supervised-engine.ts';
import { fakeLogit, trouble } from '../support/fake-engine.ts';

const engineModule = new URL('../support/fake-engine.ts', import.meta.url);
const brokenModule = new URL('../support/no-such-engine.ts', import.meta.url);
const pair = (...ids: number[]) => ({ ids: Int32Array.from(ids), truncatedTokens: 0 });

const closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((each) => each.close()));
});
const closed = <T extends { close(): Promise<void> }>(each: T): T => (closing.push(each), each);

const start = async (standby: EngineStandby, module = engineModule): Promise<EngineProcess> =>
  closed(await spawnEngine({ modelDir: 'fake' }, { engineModule: module, standby }));

/** Processes that this one has started and that live: those of the engine, not zombies. */
function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return state !== 'Z' && Number(parent) === process.pid && command.includes('engine-child');
      } catch {
        return false; // it ended meanwhile
      }
    })
    .map(Number);
}

/** CPU time that a process has taken, in ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

describe.runIf(process.platform === 'linux')('a process that stands by', () => {
  test('is there once an engine runs, and takes over', async () => {
    const standby = closed(new EngineStandby());
    standby.prepare();
    expect(standby.pid, 'nobody has asked for an engine yet').toBeUndefined();
    await start(standby);
    standby.prepare();
    const { pid } = standby;
    standby.prepare();
    expect(standby.pid).toBe(pid);
    const next = await start(standby);
    expect(next.pid).toBe(pid);
    expect(standby.pid).toBeUndefined();
    expect([...(await next.score([pair(3)]))]).toEqual([fakeLogit(Int32Array.of(3))]);
  });

  test('does nothing while it waits', async () => {
    const standby = closed(new EngineStandby());
    await start(standby);
    standby.prepare();
    const { pid } = standby;
    let before = -1;
    await expect.poll(() => before === (before = cpuMs(pid!)), { interval: 400, timeout: 20_000 }).toBe(true);
    await sleep(1000);
    expect(cpuMs(pid!) - before).toBeLessThanOrEqual(10);
  });

  test('that dies is not missed: the next engine boots by itself', async () => {
    const standby = closed(new EngineStandby());
    const first = await start(standby);
    standby.prepare();
    process.kill(standby.pid!, 'SIGKILL');
    await expect.poll(() => standby.pid).toBeUndefined();
    const next = await start(standby);
    expect(next.pid).not.toBe(first.pid);
    expect(await next.score([pair(3)])).toHaveLength(1);
  });

  test('that cannot read its modules says so when it is needed', async () => {
    const standby = closed(new EngineStandby());
    await expect(start(standby, brokenModule)).rejects.toThrow('no-such-engine');
    standby.prepare();
    await sleep(1500);
    await expect(start(standby, brokenModule)).rejects.toThrow('no-such-engine');
  });

  test('for another engine is ended, not used', async () => {
    const standby = closed(new EngineStandby());
    await start(standby);
    standby.prepare();
    const { pid } = standby;
    await expect(start(standby, brokenModule)).rejects.toThrow('no-such-engine');
    await expect.poll(() => children()).not.toContain(pid);
  });

  test('ends with its owner, and none is started after that', async () => {
    const standby = new EngineStandby();
    const engine = await start(standby);
    standby.prepare();
    await standby.close();
    await engine.close();
    standby.prepare();
    expect(standby.pid).toBeUndefined();
    expect(children()).toEqual([]);
  });
});

describe.runIf(process.platform === 'linux')('a supervised engine', () => {
  test('20 losses leave one engine and one process that stands by; closing leaves none', async () => {
    const pids = new Set<number>();
    const engine = await SupervisedEngine.start({
      spawn: (signal, standby) => spawnEngine({ modelDir: 'fake' }, { engineModule, signal, standby }),
    });
    for (let loss = 0; loss < 20; loss++) {
      pids.add(engine.pid!);
      process.kill(engine.pid!, 'SIGKILL');
      expect([...(await engine.score([pair(loss)]))]).toEqual([fakeLogit(Int32Array.of(loss))]);
    }
    pids.add(engine.pid!);
    expect(pids.size).toBe(21);
    expect(engine.counts.restarts).toBe(20);
    await expect.poll(() => children().length).toBe(2);
    await engine.close();
    expect(children()).toEqual([]);
  });

  test('that is closed while it starts again leaves no process', async () => {
    const engine = await SupervisedEngine.start({
      spawn: (signal, standby) => spawnEngine({ modelDir: 'fake' }, { engineModule, signal, standby }),
    });
    const hanging = engine.score([pair(trouble.hang)]).catch((error: { code: string }) => error.code);
    process.kill(engine.pid!, 'SIGKILL');
    await expect.poll(() => engine.state, { interval: 1 }).toBe('restarting');
    await engine.close();
    expect(await hanging).toBe('engine-stopped');
    expect(children()).toEqual([]);
  });
});

test.runIf(process.platform === 'linux').each([
  ['WGRANK_API_KEY', 'one'],
  ['HF_TOKEN', 'two'],
  ['PGPASSWORD', 'three'],
  ['DATABASE_URL', 'postgres://user:four@host/db'],
])('the engine’s process does not see %s', async (name, value) => {
  process.env[name] = value;
  process.env['VK_TEST_OF_A_DRIVER'] = 'seen';
  try {
    const engine = closed(await spawnEngine({ modelDir: 'fake' }, { engineModule }));
    const environment = readFileSync(`/proc/${engine.pid}/environ`, 'utf8').split('\0');
    expect(environment).toContain('VK_TEST_OF_A_DRIVER=seen');
    expect(environment.filter((each) => each.includes(value) && each.startsWith(name))).toEqual([]);
  } finally {
    delete process.env[name];
    delete process.env['VK_TEST_OF_A_DRIVER'];
  }
});
