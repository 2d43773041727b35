import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { get, post } from '../server/dialects.ts';
import { tiered } from '../support/tier.ts';
import { caseMaker } from './http-cases.ts';
import { exchange } from './http-exchange.ts';
import { startTarget, type Target, type TargetName } from './http-target.ts';
import { Verdict, type ApiDocument } from './http-verdict.ts';

const seed = 20_261_124;
const connections = 8;
const count = tiered(5_000, 100_000);
/** Case numbers that are tried alone: what a failure prints. */
const replay = process.env['WGRANK_FUZZ_CASES']?.split(',').map(Number);

let target: Target;
beforeAll(async () => {
  target = await startTarget((process.env['WGRANK_FUZZ_TARGET'] ?? 'serve') as TargetName);
});
afterAll(() => target?.stop());

/** A good request each 100 ms. @returns what was wrong with the answers */
async function probe(over: AbortSignal): Promise<{ sent: number; wrong: string[]; slowestMs: number }> {
  const found = { sent: 0, wrong: [] as string[], slowestMs: 0 };
  const body = { query: 'what is a panda?', documents: ['a bear', 'a car'] };
  while (!over.aborted) {
    const start = performance.now();
    const answer = await post(`${target.url}/v1/rerank`, body).catch((error: Error) => ({
      status: 0,
      body: String(error.cause),
    }));
    found.sent++;
    found.slowestMs = Math.max(found.slowestMs, performance.now() - start);
    if (answer.status !== 200 || answer.body.length !== 2)
      found.wrong.push(`${answer.status} ${JSON.stringify(answer.body)}`);
    await sleep(100);
  }
  return found;
}

test(
  'no request kills or wedges the server',
  async () => {
    const document = (await get(`${target.url}/openapi.json`)).body;
    const cases = caseMaker(document, seed);
    const verdict = new Verdict(document as ApiDocument);
    const numbers = (replay ?? Array.from({ length: count }, (_, n) => n)).values();
    expect(cases.plain).toBeLessThan(count / 2);

    const failures: string[] = [];
    const statuses = new Map<number, number>();
    const worker = async () => {
      for (const n of numbers) {
        const one = cases.make(n);
        const result = await exchange(target.port, one);
        for (const { status } of result.answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
        const wrong = verdict.judge(result);
        if (wrong !== undefined) failures.push(`WGRANK_FUZZ_CASES=${n} (${one.name}): ${wrong}`);
        if (target.end() !== undefined || failures.length > 50) return;
      }
    };
    const over = new AbortController();
    const probing = probe(over.signal);
    const start = performance.now();
    await Promise.all(Array.from({ length: connections }, worker));
    over.abort();
    const { sent, wrong, slowestMs } = await probing;
    const seconds = (performance.now() - start) / 1000;
    const shown = [...statuses]
      .toSorted()
      .map(([status, times]) => `${status}: ${times}`)
      .join(', ');
    console.log(
      `${seconds.toFixed(1)} s; answers ${shown}; ${sent} good requests beside them, the slowest ${slowestMs.toFixed(0)} ms`,
    );

    expect(target.end(), target.said()).toBeUndefined();
    expect(failures).toEqual([]);
    expect(wrong).toEqual([]);
    // Mutants that all die in the HTTP parser would prove little.
    for (const status of replay === undefined ? [200, 400, 404, 405, 413, 422, 431] : [])
      expect(statuses.get(status), String(status)).toBeGreaterThan(0);
    expect((await get(`${target.url}/ready`)).status).toBe(200);
  },
  tiered(240_000, 3_600_000),
);
