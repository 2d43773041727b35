import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { EnginePair } from '../../src/rerank/engine.ts';
import { spawnEngine } from '../../src/server/engine-process.ts';
import type { EngineStandby } from '../../src/server/engine-standby.ts';
import { SupervisedEngine, type SupervisionOptions } from '../../src/server/supervised-engine.ts';
import { faults, lostAfterVariable } from '../support/losing-engine.ts';
import { tiered } from '../support/tier.ts';

const deviceLosses = tiered(20, 500);
const kills = tiered(20, 200);
/** From a fault to the next answer, 19 times of 20. */
const recoveryMs = 2000;
const callers = 4;

const modelDir = new URL('../../weights/tiny-bge-reranker', import.meta.url).pathname;
const engineModule = new URL('../support/losing-engine.ts', import.meta.url);
const fixture = new URL('../golden/fixtures/tiny-bge-reranker.json', import.meta.url);
const golden = (JSON.parse(readFileSync(fixture, 'utf8')) as { pairs: { ids: number[] }[] }).pairs;
const pairs: EnginePair[] = golden.map(({ ids }) => ({ ids: Int32Array.from(ids), truncatedTokens: 0 }));

/** How long processes took to load. */
const loads: number[] = [];
const spawn = async (signal: AbortSignal, standby?: EngineStandby) => {
  const began = performance.now();
  const engine = await spawnEngine({ modelDir }, { engineModule, signal, ...(standby && { standby }) });
  loads.push(performance.now() - began);
  return engine;
};
const engines: SupervisedEngine[] = [];
afterEach(async () => {
  delete process.env[lostAfterVariable];
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

async function start(options: Partial<SupervisionOptions> = {}): Promise<SupervisedEngine> {
  const engine = await SupervisedEngine.start({ spawn, ...options });
  engines.push(engine);
  return engine;
}

/** A number from 0 to below 1 for each call, the same in every run. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Each pair's logit, of an engine that nothing happens to. */
async function withoutFaults(): Promise<number[]> {
  const engine = await spawnEngine({ modelDir });
  const logits = await engine.score(pairs);
  await engine.close();
  return [...logits];
}

/** Callers that ask without a pause, and compare what they get. */
function applyLoad(engine: SupervisedEngine, expected: readonly number[]) {
  const random = makeRandom(7);
  const load = { going: true, answers: Array<number>(callers).fill(0), wrong: [] as unknown[], end: async () => {} };
  const call = async (_: unknown, caller: number) => {
    while (load.going) {
      const places = Array.from({ length: 1 + random() * 40 }, () => Math.floor(random() * pairs.length));
      const outcome = await engine.score(places.map((place) => pairs[place]!)).catch((error: Error) => error);
      load.answers[caller]!++;
      if (outcome instanceof Error) load.wrong.push(outcome.message);
      else if (places.some((place, i) => !Object.is(expected[place], outcome[i]))) load.wrong.push([...outcome]);
    }
  };
  const running = Promise.all(load.answers.map(call));
  load.end = async () => {
    load.going = false;
    await running;
  };
  return load;
}

/**
 * Sends signals to the engine's process under load, each at some moment after every caller has been answered again: faults that
 * follow one call wherever it goes are the call's.
 * @returns ms from each signal to the next answer of a new process
 */
async function strike(engine: SupervisedEngine, signals: readonly NodeJS.Signals[], answers: readonly number[]) {
  const random = makeRandom(11);
  const recoveries: number[] = [];
  const answered = async (counts: readonly number[], done: (more: readonly boolean[]) => boolean) => {
    while (!done(answers.map((count, caller) => count > counts[caller]!))) await sleep(1);
  };
  for (const signal of signals) {
    await answered([...answers], (more) => more.every(Boolean));
    await sleep(random() * 100);
    const pid = engine.pid!;
    const struck = performance.now();
    process.kill(pid, signal);
    while (engine.pid === pid) await sleep(1);
    await answered([...answers], (more) => more.some(Boolean));
    recoveries.push(performance.now() - struck);
  }
  return recoveries;
}

/** Nearest rank, in whole ms. */
function percentile(values: readonly number[], part: number): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.ceil(part * values.length) - 1]!);
}

const kinds = Object.entries(faults);

test.each([
  ['device losses', Array.from({ length: deviceLosses }, (_, i) => kinds[i % kinds.length]![1])],
  ['kill -9 and crashes', Array.from({ length: kills }, (_, i) => (['SIGKILL', 'SIGSEGV'] as const)[i % 2]!)],
])(
  '%s under load: no request is lost, scores are the same, recovery within 2 s',
  async (what, signals) => {
    const expected = await withoutFaults();
    loads.length = 0;
    const lines: string[] = [];
    const states: string[] = [];
    const engine = await start({ log: (line) => lines.push(line), onStateChange: (state) => states.push(state) });
    const load = applyLoad(engine, expected);
    const recoveries = await strike(engine, signals, load.answers);
    await load.end();
    const answers = load.answers.reduce((sum, count) => sum + count);
    const [median, p95, longest] = [0.5, 0.95, 1].map((part) => percentile(recoveries, part));
    const loadMs = percentile(loads, 0.95);
    console.log(
      `${signals.length} ${what}: ${answers} answers, ${engine.counts.replays} calls repeated; recovery median ${median} ms, ` +
        `p95 ${p95} ms, longest ${longest} ms, of which loading p95 ${loadMs} ms (${engine.info.adapter})`,
    );
    expect(load.wrong).toEqual([]);
    expect(answers).toBeGreaterThan(callers * signals.length);
    expect(engine.counts.restarts).toBe(signals.length);
    expect(engine.counts.replays).toBeGreaterThanOrEqual(signals.length);
    expect(states).toEqual(signals.flatMap(() => ['restarting', 'ready']));
    expect(p95, lines.join('\n')).toBeLessThanOrEqual(recoveryMs);
  },
  // A loss takes about a second.
  60_000 + 5000 * Math.max(deviceLosses, kills),
);

test.each(['0', '30'])('a device that is lost %s ms after its birth: the next one is tried', async (lostAfter) => {
  const expected = await withoutFaults();
  let starts = 0;
  const engine = await start({
    spawn: async (signal) => {
      if (starts++ === 1) process.env[lostAfterVariable] = lostAfter;
      else delete process.env[lostAfterVariable];
      return spawn(signal);
    },
  });
  process.kill(engine.pid!, 'SIGKILL');
  expect([...(await engine.score(pairs))]).toEqual(expected);
  expect(starts).toBe(3);
});

test('a process that stands still is replaced', async () => {
  const expected = await withoutFaults();
  const lines: string[] = [];
  const engine = await start({ hangMs: 1000, log: (line) => lines.push(line) });
  process.kill(engine.pid!, 'SIGSTOP');
  expect([...(await engine.score(pairs))]).toEqual(expected);
  expect(lines[0]).toContain('no answer for 1.');
});
