import { describe, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import type { EngineProcess } from '../../src/server/engine-process.ts';
import { SupervisedEngine } from '../../src/server/supervised-engine.ts';
import { FakeProcess, orders, pairOf } from './fake-engine-process.ts';
import { logitOf, start, wait, withCode } from './supervise-fakes.ts';

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

const listenersOf = (signal: AbortSignal) => {
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    if (args[0] === 'abort') count++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    if (args[0] === 'abort') count--;
    removeEventListener.apply(signal, args);
  };
  return () => count;
};

describe('a loss is a delay', () => {
  test('calls in flight are repeated on the next process, in order', async () => {
    const { engine, started, states } = await start({ processes: () => ({ serviceMs: 20 }) });
    const calls = Array.from({ length: 20 }, (_, i) => engine.score([pairOf(i + 1, 7), pairOf(i)]));
    started[0]!.die('SIGSEGV');
    expect(engine.state).toBe('ready'); // the exit is news of the next turn
    const answers = await Promise.all(calls);
    answers.forEach((logits, i) => expect([...logits]).toEqual([logitOf(i + 1, 7), logitOf(i)]));
    expect(started).toHaveLength(2);
    expect(started[1]!.seen).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(states).toEqual(['restarting', 'ready']);
    expect(engine.counts).toEqual({ restarts: 1, replays: 20 });
  });

  test('calls that come meanwhile wait, and an idle loss is noticed, too', async () => {
    const { engine, started, states } = await start();
    started[0]!.die('SIGKILL');
    await Promise.resolve();
    expect(states).toEqual(['restarting']);
    expect(engine.pid).toBeUndefined();
    expect([...(await engine.score([pairOf(5)]))]).toEqual([logitOf(5)]);
    expect(engine.pid).toBe(started[1]!.pid);
    expect(engine.counts.replays).toBe(0);
  });

  test.each(['loseDevice', 'outOfMemory', 'gpuError'] as const)('%s ends the process, too', async (order) => {
    const { engine, started } = await start({ processes: () => ({ serviceMs: 5 }) });
    const fatal = engine.score([pairOf(orders[order])]);
    const neighbour = engine.score([pairOf(9)]);
    await expect(fatal).rejects.toEqual(withCode('gpu-error'));
    expect([...(await neighbour)]).toEqual([logitOf(9)]);
    expect(started[0]!.ended).toBe(true);
  });

  test.each([
    ['invalid', withCode('input-invalid')],
    ['notFinite', withCode('numeric-range')],
    ['unnamed', new TypeError('a bug')],
  ] as const)('%s is the call’s own: nothing is repeated', async (order, error) => {
    const { engine, started, states } = await start();
    await expect(engine.score([pairOf(orders[order])])).rejects.toEqual(error);
    expect(started.map(({ seen }) => seen)).toEqual([[orders[order]]]);
    expect(states).toEqual([]);
  });

  test('what is said of a lost process is not believed', async () => {
    const { engine, started } = await start();
    await engine.score([pairOf(1)]);
    const { batches } = await engine.stats();
    expect(batches).toBe(1);
    started[0]!.stats = () => new Promise(() => undefined);
    started[0]!.die('SIGKILL');
    await Promise.resolve();
    expect((await engine.stats()).batches).toBe(1);
    await engine.score([pairOf(1)]);
    await engine.score([pairOf(1)]);
    expect((await engine.stats()).batches).toBe(2);
  });

  test('a silent process does not hold up metrics', async () => {
    const { engine, started } = await start();
    await engine.stats();
    started[0]!.stats = () => new Promise(() => undefined);
    const began = performance.now();
    await engine.stats();
    expect(performance.now() - began).toBeLessThan(1500);
  });
});

describe('another adapter', () => {
  test('is served with a warning', async () => {
    const info = { adapter: 'llvmpipe', maxBatchTokens: 99 };
    const { engine, started, lines } = await start({ processes: (n) => (n === 0 ? {} : { info }) });
    for (let i = 0; i < 2; i++) {
      started.at(-1)!.die('SIGKILL');
      await engine.score([pairOf(1)]);
      const warning =
        'after a restart: adapter was no adapter (fake) and is llvmpipe; maxBatchTokens was 16384 and is 99';
      expect(engine.info).toMatchObject({ adapter: 'llvmpipe', warnings: ['this engine is fake', warning] });
    }
    expect(lines.filter((line) => line.startsWith('warning  the engine is not what it was: adapter'))).toHaveLength(2);
  });

  test('another model is not served', async () => {
    const { engine, started, lines } = await start({
      processes: (n) => (n > 0 && n < 4 ? { info: { activation: 'sigmoid' } } : {}),
    });
    started[0]!.die('SIGKILL');
    await expect.poll(() => engine.state, { interval: 5 }).toBe('broken');
    await expect.poll(() => engine.state, { interval: 5 }).toBe('ready');
    expect(lines.some((line) => line.includes('activation was identity and is sigmoid'))).toBe(true);
    expect(started.slice(0, 4).every(({ ended }) => ended)).toBe(true);
  });
});

describe('abort and close', () => {
  test('an abort ends a call wherever it is', async () => {
    const { engine, started } = await start({ processes: () => ({ serviceMs: 30 }) });
    const controllers = [new AbortController(), new AbortController()];
    const inFlight = engine.score([pairOf(1)], controllers[0]!.signal);
    controllers[0]!.abort();
    await expect(inFlight).rejects.toEqual(withCode('cancelled'));
    started[0]!.die('SIGKILL');
    await Promise.resolve();
    const waiting = engine.score([pairOf(2)], controllers[1]!.signal);
    const other = engine.score([pairOf(3)]);
    controllers[1]!.abort();
    await expect(waiting).rejects.toEqual(withCode('cancelled'));
    await other;
    expect(started[1]!.seen).toEqual([3]);
    await expect(engine.score([pairOf(4)], AbortSignal.abort())).rejects.toEqual(withCode('cancelled'));
  });

  test('no listeners are left on a signal that outlives its calls', async () => {
    const { engine, started } = await start();
    const { signal } = new AbortController();
    const listeners = listenersOf(signal);
    const calls = [1, 2].map((id) => engine.score([pairOf(id)], signal));
    calls.push(engine.score([pairOf(orders.invalid)], signal), engine.score([pairOf(orders.die)], signal));
    expect(listeners()).toBeGreaterThan(0);
    await Promise.allSettled(calls);
    expect(started.length).toBeGreaterThan(1);
    // The fake process leaves its own listener, one for each time it got a call.
    expect(listeners()).toBe(started.flatMap(({ seen }) => seen).length);
  });

  test('close ends calls, and refuses what comes', async () => {
    const { engine, started, states } = await start();
    const pending = engine.score([pairOf(orders.hang)]).catch((error: unknown) => error);
    await Promise.all([engine.close(), engine.close()]);
    expect(await pending).toEqual(withCode('engine-stopped'));
    expect(started[0]!.closed).toBe(true);
    await expect(engine.score([pairOf(1)])).rejects.toEqual(withCode('engine-stopped'));
    await expect(engine.stats()).rejects.toEqual(withCode('engine-stopped'));
    expect(states).toEqual(['stopped']);
  });

  test.each(['loads', 'pauses', 'proves itself'])('close while the next process %s', async (phase) => {
    const spawned: FakeProcess[] = [];
    let loading: AbortSignal | undefined;
    const spawn = async (signal: AbortSignal): Promise<EngineProcess> => {
      loading = signal;
      if (spawned.length > 0 && phase === 'pauses') throw new Error('no');
      if (spawned.length > 0 && phase === 'loads')
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))));
      const child = new FakeProcess();
      if (spawned.length > 0 && phase === 'proves itself') child.score = () => new Promise(() => undefined);
      spawned.push(child);
      return child;
    };
    const { engine, states } = await start({ spawn, limits: { firstDelayMs: 60_000, maxDelayMs: 60_000 } });
    spawned[0]!.die('SIGKILL');
    const waiting = engine.score([pairOf(1)]).catch((error: unknown) => error);
    await wait(30);
    const began = performance.now();
    await engine.close();
    expect(performance.now() - began).toBeLessThan(500);
    expect(await waiting).toEqual(withCode('engine-stopped'));
    if (phase === 'loads') expect(loading!.aborted).toBe(true);
    expect(spawned.every(({ ended }) => ended)).toBe(true);
    expect(states).toEqual(['restarting', 'stopped']);
  });

  test('the first start can be given up, and fails with its reason', async () => {
    const controller = new AbortController();
    const child = new FakeProcess();
    child.score = () => new Promise(() => undefined);
    const starting = SupervisedEngine.start({ spawn: async () => child, signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(starting).rejects.toEqual(withCode('cancelled'));
    expect(child.ended).toBe(true);
    await expect(start({ processes: () => new WgrankError('checkpoint-invalid', 'x', 'y') })).rejects.toEqual(
      withCode('checkpoint-invalid'),
    );
    await expect(start({ processes: () => ({ proves: false }) })).rejects.toEqual(withCode('engine-stopped'));
  });

  test('no timer is left', async () => {
    await wait(50); // those of earlier tests
    const before = timers();
    const { engine, started } = await start({ hangMs: 100, processes: () => ({ serviceMs: 5 }) });
    for (let i = 0; i < 5; i++) {
      const call = engine.score([pairOf(i + 1)]);
      started.at(-1)!.die('SIGKILL');
      await call;
    }
    const given = new AbortController();
    const hanging = engine.score([pairOf(orders.hang)], given.signal).catch(() => undefined);
    given.abort();
    await hanging;
    await engine.close();
    expect(timers()).toBeLessThanOrEqual(before);
  });
});
