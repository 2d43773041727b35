import { describe, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { orders, pairOf } from './fake-engine-process.ts';
import { logitOf, start, wait, withCode } from './supervise-fakes.ts';

const long = (id: number, tokens: number) => pairOf(id, ...Array<number>(tokens - 1).fill(1));

describe('a poisonous call', () => {
  test('fails itself after two repetitions, and takes nobody along', async () => {
    const { engine, started, states } = await start({ processes: () => ({ serviceMs: 5 }) });
    const neighbours = Array.from({ length: 10 }, (_, i) => i + 1);
    const before = neighbours.slice(0, 5).map((id) => engine.score([pairOf(id)]));
    const poison = engine.score([pairOf(orders.die)]);
    const after = neighbours.slice(5).map((id) => engine.score([pairOf(id)]));
    await expect(poison).rejects.toEqual(withCode('gpu-error'));
    await expect(poison).rejects.toThrow('every process that had this call was lost, 3 in all');
    const answers = await Promise.all([...before, ...after]);
    expect(answers.map(([logit]) => logit)).toEqual(neighbours.map((id) => logitOf(id)));
    expect(started.flatMap(({ seen }) => seen).filter((id) => id === orders.die)).toHaveLength(3);
    expect(states).not.toContain('broken');
  });

  test('is alone on its last attempt, however many wait', async () => {
    // It ends the process at once, before its neighbours can be answered: from the second loss on all of them are suspects.
    const { engine, started } = await start({ processes: () => ({ serviceMs: 5 }) });
    const calls = [pairOf(orders.die), pairOf(1), pairOf(2)].map((pair) => engine.score([pair]));
    const outcomes = Promise.allSettled(calls);
    await expect.poll(() => started.length, { interval: 1 }).toBe(3);
    const late = engine.score([pairOf(3)]);
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    await late;
    expect(started[2]!.seen).toEqual([orders.die]);
    expect(started[3]!.seen.slice(0, 2)).toEqual([1, 2]);
    expect(started[3]!.busiest).toBe(1);
  });

  test('that hangs is found, too', async () => {
    const { engine } = await start({ hangMs: 40 });
    const [poison, neighbour] = [engine.score([pairOf(orders.hang)]), engine.score([pairOf(4)])];
    await expect(poison).rejects.toThrow('no answer for');
    expect([...(await neighbour)]).toEqual([logitOf(4)]);
  });

  test.each([0, 1, 4])('maxReplays %i', async (maxReplays) => {
    const { engine, started } = await start({ maxReplays, limits: { maxLosses: 10, firstDelayMs: 1 } });
    await expect(engine.score([pairOf(orders.die)])).rejects.toEqual(withCode('gpu-error'));
    expect(started.flatMap(({ seen }) => seen)).toHaveLength(maxReplays + 1);
  });

  test('an engine on which every call fails is not excused as poisoned for ever', async () => {
    const { engine, states } = await start();
    const calls = await Promise.allSettled(Array.from({ length: 6 }, () => engine.score([pairOf(orders.loseDevice)])));
    expect(states).toContain('broken');
    const codes = calls.map((call) => (call.status === 'rejected' ? (call.reason as WgrankError).code : 'none'));
    expect(codes.slice(0, 2)).toEqual(['gpu-error', 'gpu-error']);
    expect(new Set(codes.slice(2))).toEqual(new Set(['engine-restarting']));
  });
});

describe('a hang', () => {
  test('ends the process; its calls are repeated', async () => {
    const { engine, started, lines } = await start({ hangMs: 50, processes: () => ({ serviceMs: 5 }) });
    const jam = engine.score([pairOf(orders.jam)], AbortSignal.timeout(30)).catch((error: unknown) => error);
    const began = performance.now();
    expect([...(await engine.score([pairOf(6)]))]).toEqual([logitOf(6)]);
    expect(performance.now() - began).toBeLessThan(500);
    // Its caller gave up before that was noticed, which does not hide it.
    expect(await jam).toEqual(withCode('cancelled'));
    expect(started).toHaveLength(2);
    expect(lines[0]).toMatch(/^the engine was lost: no answer for 0\.\d s with \d+ tokens in flight/);
  });

  test('shows when all callers have given up, and an honest process proves itself', async () => {
    const { engine, started, states } = await start({ hangMs: 50 });
    const giveUp = async (order: number) => {
      const call = engine.score([pairOf(order)], AbortSignal.timeout(5));
      await expect(call).rejects.toEqual(withCode('cancelled'));
    };
    await giveUp(orders.hang);
    await wait(150);
    expect(started[0]!.probes).toBe(2); // at its start, and once for the call that was given up
    expect(states).toEqual([]);
    await giveUp(orders.jam);
    await expect.poll(() => states, { interval: 5 }).toEqual(['restarting', 'ready']);
  });

  test('is not what a slow engine does', async () => {
    // Its proof says 6 ms for each token: a call of 400 may take a while.
    const { engine, states } = await start({ hangMs: 40, processes: () => ({ serviceMs: 250, proofMs: 200 }) });
    await engine.score([long(1, 20)]);
    await Promise.all([engine.score([long(1, 400)]), engine.score([long(2, 400)])]);
    expect(states).toEqual([]);
  });
});

describe('the breaker', () => {
  const vanished = new WgrankError('adapter-missing', 'fake', 'no GPU');

  test('opens after three losses, refuses at once, and closes when the engine is back', async () => {
    let broken = true;
    const { engine, started, states, starts } = await start({ processes: (n) => (n > 0 && broken ? vanished : {}) });
    const waiting = engine.score([pairOf(orders.hang)]).catch((error: unknown) => error);
    started[0]!.die('SIGKILL');
    expect(await waiting).toEqual(withCode('engine-restarting'));
    expect(starts()).toBe(3); // the first, and two that failed
    expect(engine.state).toBe('broken');
    const began = performance.now();
    await expect(engine.score([pairOf(1)])).rejects.toEqual(withCode('engine-restarting'));
    expect(performance.now() - began).toBeLessThan(20);
    await expect.poll(starts).toBeGreaterThan(6);
    broken = false;
    await expect.poll(() => engine.state, { interval: 5, timeout: 1000 }).toBe('ready');
    expect([...(await engine.score([pairOf(1)]))]).toEqual([logitOf(1)]);
    expect(states).toEqual(['restarting', 'broken', 'ready']);
  });

  test('stays open while a process loads but does not score', async () => {
    const { engine, started, states } = await start({ processes: (n) => ({ proves: n === 0 || n > 4 }) });
    started[0]!.die('SIGKILL');
    await expect.poll(() => engine.state, { interval: 5 }).toBe('ready');
    expect(states).toEqual(['restarting', 'broken', 'ready']);
    expect(started).toHaveLength(6);
    expect(started.slice(0, 5).every(({ ended }) => ended)).toBe(true);
  });

  test('answers between the losses keep it closed', async () => {
    const { engine, started, states } = await start();
    for (let i = 0; i < 20; i++) {
      started.at(-1)!.die('SIGKILL');
      expect([...(await engine.score([pairOf(i + 1)]))]).toEqual([logitOf(i + 1)]);
    }
    expect(states).not.toContain('broken');
    expect(engine.counts.restarts).toBe(20);
  });
});
