import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { politeDawn } from '../../src/gpu/polling-node.ts';
import { testGpu } from '../support/op-harness.ts';

/** Polls like dawn.node: from one `setImmediate`, looked up each time, to the next until the work is done. */
function fakeDawn() {
  let ticks = 0;
  const wait = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const end = performance.now() + milliseconds;
      const tick = () => {
        ticks++;
        if (performance.now() >= end) resolve();
        else globalThis.setImmediate(tick);
      };
      globalThis.setImmediate(tick);
    });
  return { wait, ticks: () => ticks };
}

describe('calls into Dawn', () => {
  it('poll a long wait at intervals, and notice its end', async () => {
    const [dawn, call] = [fakeDawn(), politeDawn()];
    const started = performance.now();
    await call(() => dawn.wait(100));
    expect(performance.now() - started).toBeGreaterThanOrEqual(100);
    // One every millisecond at the most, but for the first eager one.
    expect(dawn.ticks()).toBeGreaterThan(3);
    const polite = dawn.ticks();
    await dawn.wait(100); // without the call it takes every turn that it can get
    expect(dawn.ticks() - polite).toBeGreaterThan(5 * polite);
  });

  it('begin eagerly again for the next wait', async () => {
    const [dawn, call] = [fakeDawn(), politeDawn()];
    await call(() => dawn.wait(20));
    const before = dawn.ticks();
    await call(() => dawn.wait(0.5));
    expect(dawn.ticks()).toBeGreaterThan(before);
    await call(() => dawn.wait(0));
    expect(dawn.ticks()).toBeGreaterThan(before + 1);
  });

  it('leave setImmediate alone before, between and after, and when they throw', async () => {
    const own = globalThis.setImmediate;
    const [dawn, call] = [fakeDawn(), politeDawn()];
    const waiting = call(() => dawn.wait(30));
    expect(globalThis.setImmediate).toBe(own);
    await sleep(5);
    expect(globalThis.setImmediate).toBe(own);
    await waiting;
    expect(() =>
      call(() => {
        expect(globalThis.setImmediate).not.toBe(own);
        throw new Error('refused');
      }),
    ).toThrow('refused');
    expect(globalThis.setImmediate).toBe(own);
  });

  it('return what Dawn returns, and Dawn does poll by setImmediate', async () => {
    const { gpu } = await testGpu();
    const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const [from, to] = ['from', 'to'].map((label) => gpu.createBuffer(label, 64 * 2 ** 20, usage));
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from!, 0, to!, 0, 64 * 2 ** 20);
    gpu.device.queue.submit([encoder.finish()]);
    const own = globalThis.setImmediate;
    let polls = 0;
    globalThis.setImmediate = ((tick: () => void) => {
      polls++;
      return own(tick);
    }) as typeof setImmediate;
    try {
      await gpu.device.queue.onSubmittedWorkDone();
    } finally {
      globalThis.setImmediate = own;
      for (const buffer of [from!, to!]) gpu.destroyBuffer(buffer);
    }
    // When this fails, dawn.node waits in another way, and src/gpu/polling-node.ts can go.
    expect(polls).toBeGreaterThan(0);
    await expect(gpu.call(() => gpu.device.queue.onSubmittedWorkDone())).resolves.toBeUndefined();
    expect(gpu.call(() => 'answer')).toBe('answer');
  });
});
