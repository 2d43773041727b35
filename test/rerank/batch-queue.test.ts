import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenMeter } from '../../src/nn/token-meter.ts';
import { answer, BatchQueue, settle, type Job, type Ticket } from '../../src/rerank/batch-queue.ts';

interface WatchedJob extends Job {
  outcome: Float32Array | Error | undefined;
  /** How often it was settled: never more than once. */
  settlings: number;
}

/** A job with pairs of the given numbers of tokens. */
const jobOf = (...lengths: number[]) => jobOfIds(lengths.map((length) => new Int32Array(length)));

function jobOfIds(ids: readonly Int32Array[]): WatchedJob {
  const end = (outcome: Float32Array | Error) => {
    job.outcome = outcome;
    job.settlings++;
  };
  const job: WatchedJob = {
    pairs: ids.map((ids) => ({ ids, truncatedTokens: 0 })),
    logits: new Float32Array(ids.length),
    taken: 0,
    answered: 0,
    settled: false,
    resolve: end,
    reject: end,
    outcome: undefined,
    settlings: 0,
  };
  return job;
}

function queueOf(...jobs: Job[]): BatchQueue {
  const queue = new BatchQueue();
  for (const job of jobs) queue.push(job);
  return queue;
}

/** All batches, as `job.pair` names. */
function drain(queue: BatchQueue, jobs: readonly Job[], tokens: number, pairs = 1000, shares = false): string[][] {
  const batches: string[][] = [];
  for (;;) {
    const batch = queue.take(tokens, pairs, new TokenMeter(shares));
    if (batch.length === 0) return batches;
    batches.push(batch.map(({ job, index }) => `${jobs.indexOf(job)}.${index}`));
  }
}

describe('BatchQueue.take', () => {
  it('fills a batch to its budget and not beyond', () => {
    const jobs = [jobOf(4, 4, 2, 1, 9, 1)];
    expect(drain(queueOf(...jobs), jobs, 10)).toEqual([['0.0', '0.1', '0.2'], ['0.3', '0.4'], ['0.5']]);
  });

  it('lets jobs share batches and span them, in order of arrival', () => {
    const jobs = [jobOf(6, 3), jobOf(1, 7, 7), jobOf(2)];
    expect(drain(queueOf(...jobs), jobs, 10)).toEqual([['0.0', '0.1', '1.0'], ['1.1'], ['1.2', '2.0']]);
  });

  it('gives a pair beyond the budget a batch of its own', () => {
    const jobs = [jobOf(2, 50, 2, 3), jobOf(50)];
    expect(drain(queueOf(...jobs), jobs, 10)).toEqual([['0.0'], ['0.1'], ['0.2', '0.3'], ['1.0']]);
  });

  it('takes no more pairs than asked', () => {
    const jobs = [jobOf(1, 1, 1), jobOf(1, 1)];
    expect(drain(queueOf(...jobs), jobs, 100, 2)).toEqual([['0.0', '0.1'], ['0.2', '1.0'], ['1.1']]);
  });

  it('skips jobs that have settled, before and after they were begun', () => {
    const jobs = [jobOf(1), jobOf(5, 5, 5), jobOf(2)];
    const queue = queueOf(...jobs);
    settle(jobs[0]!, new Error('aborted'));
    expect(queue.take(5, 100)).toEqual([{ job: jobs[1], index: 0 }]);
    settle(jobs[1]!, new Error('aborted'));
    expect(queue.waiting).toEqual({ pairs: 1, tokens: 2 });
    expect(drain(queue, jobs, 100)).toEqual([['2.0']]);
  });

  it('counts what no batch has taken', () => {
    const queue = queueOf(jobOf(6, 3), jobOf(1, 7));
    expect(queue.waiting).toEqual({ pairs: 4, tokens: 17 });
    queue.take(10, 100);
    expect(queue.waiting).toEqual({ pairs: 1, tokens: 7 });
    queue.take(10, 100);
    expect(queue.waiting).toEqual({ pairs: 0, tokens: 0 });
    expect(queue.take(10, 100)).toEqual([]);
  });

  it('gives every pair once, in order, in batches that are within the budget and could not take the next pair', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(lengths, { maxLength: 8 }), fc.integer({ min: 1, max: 20 }), (shapes, budget) => {
        const jobs = shapes.map((shape) => jobOf(...shape));
        const batches = drain(queueOf(...jobs), jobs, budget);
        const inOrder = shapes.flatMap((shape, j) => shape.map((_, i) => `${j}.${i}`));
        expect(batches.flat()).toEqual(inOrder);
        const tokensOf = (name: string) => {
          const [job, index] = name.split('.').map(Number);
          return shapes[job!]![index!]!;
        };
        const sum = (names: readonly string[]) => names.reduce((total, name) => total + tokensOf(name), 0);
        batches.forEach((batch, b) => {
          if (batch.length > 1) expect(sum(batch)).toBeLessThanOrEqual(budget);
          const next = batches[b + 1]?.[0];
          if (next) expect(sum([...batch, next])).toBeGreaterThan(budget);
        });
      }),
    );
  });
});

/** A prompt of eight tokens, five for instruction and three for the query, and the document's own. */
const prompt = (query: number, ...document: number[]) => Int32Array.of(1, 2, 3, 4, 5, query, query, query, ...document);

/** Two callers with a query each. */
const twoCallers = () => [
  jobOfIds([10, 11, 12].map((document) => prompt(7, document))),
  jobOfIds([10, 11].map((document) => prompt(8, document))),
];

describe('BatchQueue.take with a meter that shares', () => {
  it('lets in more pairs, because what they begin with counts once', () => {
    const pairs = [10, 11, 12, 13, 14, 15].map((document) => prompt(7, document, 0));
    const jobs = [jobOfIds(pairs)];
    // 8 + 4 · 2 tokens; without sharing one pair of 10.
    expect(drain(queueOf(...jobs), jobs, 16, 1000, true)).toEqual([
      ['0.0', '0.1', '0.2', '0.3'],
      ['0.4', '0.5'],
    ]);
    const again = [jobOfIds(pairs)];
    expect(drain(queueOf(...again), again, 16)).toEqual(pairs.map((_, i) => [`0.${i}`]));
  });

  it('keeps callers with different queries within one budget', () => {
    // 8 + 3 · 1 for the first query, and 8 + 2 · 1 for the second, which shares too little to join.
    const [enough, scarce] = [twoCallers(), twoCallers()];
    expect(drain(queueOf(...enough), enough, 21, 1000, true)).toEqual([['0.0', '0.1', '0.2', '1.0', '1.1']]);
    expect(drain(queueOf(...scarce), scarce, 20, 1000, true)).toEqual([['0.0', '0.1', '0.2', '1.0'], ['1.1']]);
  });

  it('still takes no more pairs than asked, and a pair beyond the budget alone', () => {
    const jobs = [jobOfIds([10, 11, 12].map((document) => prompt(7, document)))];
    expect(drain(queueOf(...jobs), jobs, 100, 2, true)).toEqual([['0.0', '0.1'], ['0.2']]);
    const again = [jobOfIds([10, 11].map((document) => prompt(7, document)))];
    expect(drain(queueOf(...again), again, 5, 100, true)).toEqual([['0.0'], ['0.1']]);
  });
});

const tickets = (job: Job, ...indices: number[]): Ticket[] => indices.map((index) => ({ job, index }));

describe('answer', () => {
  it('resolves a job with its logits in order once its last pair is answered', () => {
    const [a, b] = [jobOf(1, 1, 1), jobOf(1)];
    answer([...tickets(a, 1), ...tickets(b, 0)], Float32Array.of(11, 20));
    expect([a.outcome, b.outcome]).toEqual([undefined, Float32Array.of(20)]);
    answer(tickets(a, 0, 2), Float32Array.of(10, 12));
    expect(a.outcome).toEqual(Float32Array.of(10, 11, 12));
    expect([a.settlings, b.settlings]).toEqual([1, 1]);
  });

  it.each([Number.NaN, Infinity, -Infinity])('fails the job of a logit that is %d, and no other', (bad) => {
    const [a, b] = [jobOf(1, 7), jobOf(1)];
    answer([...tickets(a, 0, 1), ...tickets(b, 0)], Float32Array.of(1, bad, 2));
    expect(a.outcome).toMatchObject({
      code: 'numeric-range',
      message: `[engine] the logit of pair 1 (7 tokens) is ${bad} (expected a finite number)`,
    });
    expect(b.outcome).toEqual(Float32Array.of(2));
  });

  it('drops answers for a job that has settled', () => {
    const job = jobOf(1, 1);
    const reason = new Error('aborted');
    settle(job, reason);
    answer(tickets(job, 0, 1), Float32Array.of(1, Number.NaN));
    expect(job.outcome).toBe(reason);
    expect(job.settlings).toBe(1);
  });
});

describe('BatchQueue.rejectAll', () => {
  it('rejects what waits and what is on its way, each once, and keeps nothing', () => {
    const [taken, half, waiting, done] = [jobOf(1), jobOf(1, 5), jobOf(1), jobOf(1)];
    const queue = queueOf(taken, half, waiting);
    queue.take(2, 100);
    settle(done, Float32Array.of(3));
    const reason = new Error('the device is gone');
    queue.rejectAll(reason, [taken, half, done]);
    expect([taken, half, waiting].map(({ outcome }) => outcome)).toEqual([reason, reason, reason]);
    expect([taken, half, waiting, done].map(({ settlings }) => settlings)).toEqual([1, 1, 1, 1]);
    expect(done.outcome).toEqual(Float32Array.of(3));
    expect(queue.take(100, 100)).toEqual([]);
    expect(queue.waiting).toEqual({ pairs: 0, tokens: 0 });
  });
});
