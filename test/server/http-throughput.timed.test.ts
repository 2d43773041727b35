import { afterEach, expect, test } from 'vitest';
import { showFigures } from '../support/figures.ts';
import { percentile, rate, runLoad } from './load.ts';
import { startStubServer, type StubServer } from './stub-server.ts';

const servers: StubServer[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.stop()));

/** Ten short documents, as search results have them. */
const body = {
  query: 'what is a giant panda?',
  documents: Array.from({ length: 10 }, (_, i) => `${i}: the giant panda is a bear species endemic to China`),
};

async function measure(words: readonly string[]) {
  const server = await startStubServer(['key=secret', ...words]);
  servers.push(server);
  const cpu: Promise<number>[] = [];
  const headers = { authorization: 'Bearer secret' };
  const plan = { url: server.url, body, headers, connections: 32, warmUpSeconds: 8, seconds: 10 };
  const results = await runLoad(plan, () => void cpu.push(server.cpuMs()));
  const [before, after] = await Promise.all(cpu);
  const cpuUs = ((after! - before!) * 1000) / results.length;
  expect(results.filter(({ status }) => status !== 200)).toEqual([]);
  return { perSecond: rate(results), p99Ms: percentile(results, 0.99), cpuUs };
}

test('the HTTP side answers 1,500 requests of ten short documents a second', async () => {
  const figures = await measure([]);
  showFigures(figures);
  expect(figures.perSecond).toBeGreaterThanOrEqual(1500);
});

test('with texts that become tokens, for the record', async () => {
  showFigures(await measure(['tokenize']));
});
