import { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import process from 'node:process';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { resizeBicubic } from '../../src/media/bicubic.ts';
import { decodePicture } from '../../src/media/decode-picture-node.ts';
import type { MediaProcess } from '../../src/media/media-process-node.ts';
import { scanBomb } from './hostile-files.ts';
import { closeProcesses, pictureFile, rules, startProcess } from './media-setup.ts';

afterEach(closeProcesses);

const good = { kind: 'image', bytes: pictureFile('420.jpg') } as const;
/** Keeps a decoder busy for seconds. */
const long = { kind: 'image', bytes: scanBomb(5500, 5500) } as const;
const fault = (code: string, message: string): unknown =>
  expect.objectContaining({ name: 'WgrankError', code, message });

/** Waits until the one process has been busy for a while. */
async function busyPid(decoder: MediaProcess): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  return decoder.pids[0]!;
}

describe('MediaProcess', () => {
  test('gives the picture as decoded and resized here, and a hash of it', async () => {
    const decoder = startProcess();
    const media = await decoder.encode(good);
    const { rgb, width, height } = await decodePicture(good.bytes, { applyExif: false });
    expect(media).toMatchObject({ kind: 'image', frames: 1, height: 96, width: 128 });
    expect(media.timestamps).toBeUndefined();
    expect(Buffer.from(media.rgb).equals(resizeBicubic(rgb, width, height, 128, 96))).toBe(true);
    const hash = createHash('sha256').update('image 1 96 128\n').update(media.rgb).digest('hex');
    expect(media.hash).toBe(hash);
  });

  test('equal pixels have equal hashes, whatever the file; other pixels have others', async () => {
    const decoder = startProcess();
    const names = [
      'palette.png',
      'profile.webp',
      'animated.png',
      'still.gif',
      'palette-alpha.png',
      '422.jpg',
      '444.jpg',
    ];
    const media = await Promise.all(names.map((name) => decoder.encode({ kind: 'image', bytes: pictureFile(name) })));
    const hashes = media.map(({ hash }) => hash);
    expect(new Set(hashes.slice(0, 4)).size).toBe(1);
    expect(new Set(hashes).size).toBe(4);
    expect(hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash))).toBe(true);
  });

  test('a clip of one picture twice is not that picture', async () => {
    const decoder = startProcess();
    const clip = await decoder.encode({ kind: 'video', pictures: [good.bytes, good.bytes, good.bytes], fps: 1 });
    expect(clip).toMatchObject({ kind: 'video', frames: 4, height: 96, width: 128, timestamps: [0.5, 2] });
    expect(clip.rgb.length).toBe(4 * 96 * 128 * 3);
    const picture = await decoder.encode(good);
    expect(Buffer.from(clip.rgb.subarray(0, 96 * 128 * 3)).equals(picture.rgb)).toBe(true);
    expect(clip.hash).not.toBe(picture.hash);
  });

  test('EXIF orientation is followed when asked for', async () => {
    const bytes = pictureFile('orientation-6.jpg');
    expect(await startProcess().encode({ kind: 'image', bytes })).toMatchObject({ height: 96, width: 128 });
    const turned = await startProcess({ applyExif: true }).encode({ kind: 'image', bytes });
    expect(turned).toMatchObject({ height: 128, width: 96 });
  });

  test('the checkpoint’s bounds hold', async () => {
    const small = startProcess({ rules: { ...rules, image: { minPixels: 1024, maxPixels: 4096 } } });
    expect(await small.encode(good)).toMatchObject({ height: 32, width: 64 });
    const fine = startProcess({ rules: { ...rules, patchSize: 7 } });
    expect(await fine.encode(good)).toMatchObject({ height: 98, width: 126 });
  });

  test('starts on first use, one process at a time for one task, up to its number', async () => {
    const decoder = startProcess({ workers: 2 });
    expect(decoder.pids).toEqual([]);
    await decoder.encode(good);
    expect(decoder.pids.length).toBe(1);
    await Promise.all([good, good, good, good].map((task) => decoder.encode(task)));
    expect(decoder.pids.length).toBe(2);
  });

  test('a decoder that takes too long is stopped; the tasks behind it are done by the next one', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    const [first] = decoder.pids;
    const started = performance.now();
    const outcomes = await Promise.allSettled([long, good, good].map((task) => decoder.encode(task)));
    // Three seconds on a machine of its own; a busy one may give the decoder three rounds and takes its time to start the next.
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(outcomes[0]).toMatchObject({
      reason: fault('media-invalid', '[picture] decoding it took more than 2000 ms'),
    });
    expect(outcomes.slice(1)).toMatchObject([{ value: { width: 128 } }, { value: { width: 128 } }]);
    expect(decoder.pids[0]).not.toBe(first);
  });

  test('a picture of a clip that takes too long is stopped after a picture’s time', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    const started = performance.now();
    const outcomes = await Promise.allSettled([
      decoder.encode({ kind: 'video', pictures: [long.bytes] }),
      decoder.encode(good),
    ]);
    // A busy machine may give the decoder four times as long.
    expect(performance.now() - started).toBeLessThan(15_000);
    expect(outcomes).toMatchObject([
      { reason: fault('media-invalid', '[video] decoding one of its pictures took more than 2000 ms') },
      { value: { width: 128 } },
    ]);
  });

  test('pictures of a clip may together take longer than one picture', async () => {
    // Each takes a large part of a picture's time.
    const pictures = Array.from({ length: 6 }, () => scanBomb(1800, 1800));
    expect(await startProcess().encode({ kind: 'video', pictures })).toMatchObject({ frames: 6 });
  });

  test('a process that is killed fails the task that it had, and no other', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    const calls = [long, good, good].map((task) => decoder.encode(task));
    process.kill(await busyPid(decoder), 'SIGKILL');
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes[0]).toMatchObject({ reason: fault('media-invalid', '[picture] the decoder ended') });
    expect(outcomes.slice(1)).toMatchObject([{ value: { width: 128 } }, { value: { width: 128 } }]);
  });

  test('a process that is killed while it has nothing to do is replaced', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    process.kill(decoder.pids[0]!, 'SIGKILL');
    expect(await decoder.encode(good)).toMatchObject({ width: 128 });
  });

  test('a process that hangs is killed', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    const calls = [decoder.encode(long), decoder.encode(good)];
    process.kill(await busyPid(decoder), 'SIGSTOP');
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes[0]).toMatchObject({
      reason: fault('media-invalid', '[picture] decoding it took more than 2000 ms'),
    });
    expect(outcomes[1]).toMatchObject({ value: { width: 128 } });
  });

  test('a caller that gives up leaves the others alone', async () => {
    const decoder = startProcess();
    const [before, after] = [new AbortController(), new AbortController()];
    before.abort();
    const calls = [
      decoder.encode(good),
      decoder.encode(good, before.signal),
      decoder.encode(good, after.signal),
      decoder.encode(good),
    ];
    after.abort();
    const outcomes = await Promise.allSettled(calls);
    const gone = { reason: fault('cancelled', '[media] the caller gave up') };
    expect(outcomes).toMatchObject([{ value: { width: 128 } }, gone, gone, { value: { width: 128 } }]);
  });

  test('work that its caller gives up does not keep the decoder', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    const [first] = decoder.pids;
    const caller = new AbortController();
    const pictures = Array.from({ length: 40 }, () => scanBomb(4000, 4000));
    const given = decoder.encode({ kind: 'video', pictures }, caller.signal);
    expect(await busyPid(decoder)).toBe(first);
    caller.abort();
    await expect(given).rejects.toEqual(fault('cancelled', '[media] the caller gave up'));
    const started = performance.now();
    expect(await decoder.encode(good)).toMatchObject({ width: 128 });
    // One second to start the next process; the clip would go on for half a minute.
    expect(performance.now() - started).toBeLessThan(5000);
    expect(decoder.pids).not.toContain(first);
  });

  test('a process that was told to end gets no other task while it still lives', async () => {
    const decoder = startProcess();
    await decoder.encode(good);
    const [first] = decoder.pids;
    const caller = new AbortController();
    const given = decoder.encode(long, caller.signal).catch((error: { code: string }) => error.code);
    await busyPid(decoder);
    // oxlint-disable-next-line typescript/unbound-method
    const kill = ChildProcess.prototype.kill;
    const slowly = vi.spyOn(ChildProcess.prototype, 'kill').mockImplementation(function (this: ChildProcess, signal) {
      setTimeout(() => kill.call(this, signal), 1000);
      return true;
    });
    caller.abort();
    expect(await given).toBe('cancelled');
    const next = decoder.encode(good);
    slowly.mockRestore();
    expect(await next).toMatchObject({ width: 128 });
    expect(decoder.pids).not.toContain(first);
  });

  test('closing ends the processes and rejects what is pending', async () => {
    const decoder = startProcess({ workers: 2 });
    await Promise.all([decoder.encode(good), decoder.encode(good), decoder.encode(good)]);
    const { pids } = decoder;
    const calls = [long, long, good].map((task) => decoder.encode(task).catch((error: { code: string }) => error.code));
    await decoder.close();
    expect(await Promise.all(calls)).toEqual(['engine-stopped', 'engine-stopped', 'engine-stopped']);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await expect(decoder.encode(good)).rejects.toEqual(fault('engine-stopped', '[media] it is closed'));
    await decoder.close();
  });
});
