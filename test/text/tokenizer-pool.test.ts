import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { TokenJob, TokenJobs } from '../../src/text/token-jobs.ts';
import { TokenizerPool } from '../../src/text/tokenizer-pool-node.ts';

const entry = new URL('failing-thread.ts', import.meta.url);
const open: TokenizerPool[] = [];

async function startPool(workers: number, modelDir = 'any'): Promise<TokenizerPool> {
  const pool = new TokenizerPool({ modelDir, workers, entry });
  open.push(pool);
  await pool.loaded();
  return pool;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((pool) => pool.close()));
});

const counts = (tokens: readonly { ids: Int32Array }[]): number[] => tokens.map(({ ids }) => ids[0]!);
const stopped = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'engine-stopped', message: expect.stringMatching(message) as string });

describe('threads that die', () => {
  test.each([
    ['exit', /exit code 3/],
    ['throw', /broken thread/],
  ])('a text that makes a thread %s fails its own call only', async (text, why) => {
    const pool = await startPool(1);
    const others = Array.from({ length: 5 }, (_, i) => pool.tokenize(['a'.repeat(i + 1)], 9));
    await expect(pool.tokenize(['fine', text], 9)).rejects.toEqual(stopped(why));
    expect((await Promise.all(others)).flatMap(counts)).toEqual([1, 2, 3, 4, 5]);
    expect(counts(await pool.tokenize(['later'], 9))).toEqual([5]);
  });

  test('a task whose thread died by accident is tried again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wgrank-pool-'));
    try {
      const text = `once:${join(folder, 'seen')}`;
      const pool = await startPool(1);
      expect(counts(await pool.tokenize(['a', text, 'abc'], 9))).toEqual([1, text.length, 3]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a pool whose first thread dies at once says so', async () => {
    const pool = new TokenizerPool({ modelDir: 'dies-at-start', workers: 2, entry });
    await expect(pool.loaded()).rejects.toEqual(stopped(/exit code 7/));
    await expect(pool.tokenize(['a'], 9)).rejects.toEqual(stopped(/exit code 7/));
    await pool.close();
  });
});

test('closing rejects what is pending, and what comes later', async () => {
  const pool = await startPool(2);
  const pending = Array.from({ length: 20 }, () => pool.tokenize(Array<string>(500).fill('abc'), 9));
  const settled = Promise.allSettled(pending);
  await pool.close();
  for (const outcome of await settled)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'engine-stopped' } });
  await expect(pool.tokenize(['a'], 9)).rejects.toEqual(stopped(/is closed/));
  await pool.close();
});

test('a pool can be closed while it starts', async () => {
  const pool = new TokenizerPool({ modelDir: 'any', workers: 2, entry });
  await pool.close();
  await expect(pool.loaded()).rejects.toEqual(stopped(/is closed/));
});

function ignore(): void {}

function job(texts: readonly string[]): TokenJob {
  return new TokenJob(texts, 9, ignore, ignore);
}

describe('jobs', () => {
  test('are cut by number of texts and by length, and a long text stands alone', () => {
    const sizes = (texts: readonly string[]): number[] => job(texts).waiting.map((task) => task.texts.length);
    expect(sizes(Array<string>(130).fill('a'))).toEqual([64, 64, 2]);
    expect(sizes(Array<string>(6).fill('a'.repeat(30_000)))).toEqual([3, 3]);
    expect(sizes(['a', 'b'.repeat(1e6), 'c'])).toEqual([2, 1]);
    expect(job(Array<string>(130).fill('a')).waiting.map((task) => task.first)).toEqual([0, 64, 128]);
  });

  test('take turns, so that a short one does not wait for a long one', () => {
    const jobs = new TokenJobs();
    const long = job(Array<string>(640).fill('a'));
    const short = job(['b']);
    jobs.add(long);
    jobs.add(short);
    expect([jobs.next()!.job, jobs.next()!.job, jobs.next()!.job]).toEqual([long, short, long]);
  });

  test('that failed give no more tasks', () => {
    const jobs = new TokenJobs();
    const failed = job(Array<string>(640).fill('a'));
    jobs.add(failed);
    const begun = jobs.next()!;
    jobs.fail(failed, new Error('gone') as never);
    expect(jobs.next()).toBeUndefined();
    jobs.retry(begun);
    expect(jobs.next()).toBeUndefined();
  });
});
