import { describe, expect, it } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { clip, collect, options, picture, pictures, setUp, turns } from './content-setup.ts';

const tooMany = (most: number) => ({
  code: 'input-too-long',
  message:
    `The pictures and clips of a document take more than the ${most} tokens of a prompt, and none of them can be cut (show ` +
    'fewer or smaller ones, or raise --max-length).',
});

describe('a failure', () => {
  it('of a document is the request’s; what is under way is given up before the caller hears of it', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const collecting = collect(encoder.windows('q', pictures(20), options));
    const outcome = collecting.catch((reason: unknown) => reason);
    await turns();
    expect(loads).toHaveLength(2);
    const reason = new WgrankError('media-invalid', 'picture', 'damaged');
    loads[0]!.fail(reason);
    expect(await outcome).toBe(reason);
    expect(loads).toHaveLength(2);
    expect(loads.map(({ signal, ended }) => [signal.aborted, ended])).toEqual([
      [true, true],
      [true, true],
    ]);
  });

  it('of a later document is heard in its turn, and ends no process meanwhile', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const windows = encoder.windows('q', pictures(3), { ...options, windowTokens: 1 });
    const first = windows.next();
    await turns();
    loads[1]!.fail(new WgrankError('media-invalid', 'picture', 'the second'));
    await turns();
    loads[0]!.answer();
    expect((await first).value).toHaveLength(1);
    await turns();
    await expect(windows.next()).rejects.toMatchObject({ message: '[picture] the second' });
    expect(await windows.next()).toEqual({ done: true, value: undefined });
  });

  it('of the query is one before any document is read', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const outcome = collect(encoder.windows([picture('q')], pictures(5), options)).catch((reason: unknown) => reason);
    await turns();
    loads[0]!.fail(new WgrankError('media-unavailable', 'file', 'no such file'));
    expect(await outcome).toMatchObject({ code: 'media-unavailable' });
    expect(loads).toHaveLength(1);
  });

  it('of the prompts is one, too', async () => {
    const { encoder, loads, failPrompts } = setUp();
    failPrompts(new WgrankError('input-too-long', '', 'too long'));
    await expect(collect(encoder.windows('q', pictures(9), options))).rejects.toMatchObject({ message: 'too long' });
    expect(loads.length).toBeLessThanOrEqual(6);
  });

  it('is a document whose pictures fill the prompt: the others of it are not read', async () => {
    const { encoder, loads } = setUp();
    const document = ['a1x40', 'b1x40', 'c1x21', 'never', 'never'].map(picture);
    await expect(collect(encoder.windows('q', [document], options))).rejects.toMatchObject(tooMany(100));
    expect(loads).toHaveLength(3);
  });

  it('is a clip that is too long, alone or beside the query’s picture', async () => {
    // Two groups of 50 tokens fill the prompt.
    const long = [clip('5x10')];
    const { encoder, prompted } = setUp();
    await collect(encoder.windows('q', [long], options));
    await expect(collect(encoder.windows([picture('one')], [long], options))).rejects.toMatchObject(tooMany(100));
    await expect(collect(encoder.windows('q', [[...long, picture('x')]], options))).rejects.toMatchObject(tooMany(100));
    await expect(collect(encoder.windows([clip('5x11')], ['a'], options))).rejects.toMatchObject(tooMany(100));
    expect(prompted).toHaveLength(1);
  });
});

describe('an end before the end', () => {
  it('by the caller’s signal reaches what is being loaded', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const controller = new AbortController();
    const windows = encoder.windows('q', pictures(9), { ...options, signal: controller.signal });
    const outcome = collect(windows).catch((reason: unknown) => reason);
    await turns();
    expect(loads.map(({ signal }) => signal.aborted)).toEqual([false, false]);
    controller.abort();
    expect(await outcome).toMatchObject({ code: 'cancelled' });
    expect(loads.map(({ signal, ended }) => [signal.aborted, ended])).toEqual([
      [true, true],
      [true, true],
    ]);
  });

  it('reaches the prompts, too', async () => {
    const { encoder, prompted } = setUp();
    const controller = new AbortController();
    const windows = encoder.windows('q', pictures(9), { ...options, signal: controller.signal });
    await windows.next();
    const { signal } = prompted[0]!.options;
    expect(signal!.aborted).toBe(false);
    controller.abort();
    expect(signal!.aborted).toBe(true);
    await windows.return(undefined);
  });

  it('by a consumer that stops gives up what was read ahead', async () => {
    const { encoder, loads } = setUp({ byHand: true });
    const windows = encoder.windows('q', pictures(9), { ...options, windowTokens: 1 });
    const first = windows.next();
    await turns();
    loads[0]!.answer();
    await first;
    expect(loads[1]!.ended).toBe(false);
    await windows.return(undefined);
    expect(loads.map(({ signal, ended }) => [signal.aborted, ended])).toEqual([
      [true, true],
      [true, true],
    ]);
  });
});
