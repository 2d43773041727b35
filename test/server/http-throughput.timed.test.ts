import { afterAll, beforeAll, expect, test } from 'vitest';
import { showFigures } from '../support/figures.ts';
import { percentile, rate, runLoad } from './load.ts';
import { startStubServer, type StubServer } from './stub-server.ts';

let server: StubServer;
beforeAll(async () => {
  server = await startStubServer();
});
afterAll(() => server.stop());

/** Ten short documents, as search results have them. */
const body = {
  query: 'what is a giant panda?',
  documents: Array.from({ length: 10 }, (_, i) => `${i}: the giant panda is a bear species endemic to China`),
};

test('the HTTP side answers 1,500 requests of ten short documents a second', async () => {
  const cpu: Promise<number>[] = [];
  const plan = { url: server.url, body, connections: 32, warmUpSeconds: 8, seconds: 10 };
  const results = await runLoad(plan, () => void cpu.push(server.cpuMs()));
  const [before, after] = await Promise.all(cpu);
  const cpuUs = ((after! - before!) * 1000) / results.length;
  const perSecond = rate(results);
  showFigures({ perSecond, p99Ms: percentile(results, 0.99), cpuUs });
  expect(results.filter(({ status }) => status !== 200)).toEqual([]);
  expect(perSecond).toBeGreaterThanOrEqual(1500);
});
