import { describe, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/run.ts';

/**
 * Values that parsers of sizes, numbers and lists have read as "no limit", as another number, or not at all. Those of other kinds are
 * in cli-options.test.ts and config.test.ts.
 */
const numbers = [
  ['--max-body-bytes', 'unlimited'],
  ['--max-body-bytes', '-1'],
  ['--max-body-bytes', '0x1000'],
  ['--max-body-bytes', '1e9'],
  ['--max-body-bytes', '1_000_000'],
  ['--max-body-bytes', '1,000,000'],
  ['--max-body-bytes', '16.0'],
  ['--max-body-bytes', '１６'],
  ['--max-body-bytes', '1073741825'],
  ['--max-body-bytes', '18446744073709551616'],
  ['--max-body-bytes', 'NaN'],
  ['--max-body-bytes', 'null'],
  ['--max-body-bytes', ' 16'],
  ['--max-body-bytes', '+16'],
  ['--max-documents', 'all'],
  ['--max-documents', '-5'],
  ['--max-documents', '1000001'],
  ['--max-length', '7'],
  ['--max-length', '1048577'],
  ['--max-length', '512 '],
  ['--max-batch-tokens', '15'],
  ['--max-queue-tokens', 'Infinity'],
  ['--max-queue-tokens', '-0'],
  ['--max-queue-requests', '0'],
  ['--max-queue-requests', '1000001'],
  ['--request-timeout-ms', '-1'],
  ['--request-timeout-ms', '30s'],
  ['--request-timeout-ms', '86400001'],
  ['--drain-timeout-ms', 'never'],
  ['--tokenizer-workers', '257'],
  ['--max-image-bytes', '20MiB'],
  ['--max-image-bytes', '0'],
  ['--max-video-bytes', '1073741825'],
  ['--max-remote-bytes', '-1'],
  ['--remote-timeout-ms', '0'],
  ['--remote-timeout-ms', '600001'],
  ['--metrics-port', '65536'],
  ['--port', '30000;30001'],
] as const;

async function start(words: readonly string[]) {
  let err = '';
  const launch = vi.fn(async () => 0);
  const code = await run(['serve', ...words], {
    launch,
    inspect: async () => 0,
    writeOut: () => undefined,
    writeErr: (text) => (err += text),
  });
  return { code, err, launched: launch.mock.calls.length };
}

describe('no limit can be misconfigured', () => {
  test('there are enough of them', () => expect(numbers.length).toBeGreaterThanOrEqual(30));

  test.each(numbers)('%s=%s refuses to start, as a flag and in the environment', async (flag, value) => {
    const refused = await start([`${flag}=${value}`]);
    expect(refused).toMatchObject({ code: 2, launched: 0 });
    expect(refused.err).toMatch(new RegExp(`^error: option '.*${flag} .*It must be a whole number from \\d+ to \\d+`));

    const twin = `WGRANK_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`;
    vi.stubEnv(twin, value);
    const inEnvironment = await start([]);
    vi.unstubAllEnvs();
    expect(inEnvironment).toMatchObject({ code: 2, launched: 0 });
    expect(inEnvironment.err).toContain(`environment variable ${twin} is '${value}'. It must be a whole number`);
  });

  test.each([
    ['--max-body-bytes', '1', '1073741824'],
    ['--max-documents', '1', '1000000'],
    ['--max-length', '8', '1048576'],
    ['--max-batch-tokens', '16', '16777216'],
    ['--max-queue-tokens', '1', '1073741824'],
    ['--max-queue-requests', '1', '1000000'],
    ['--request-timeout-ms', '0', '86400000'],
    ['--remote-timeout-ms', '1', '600000'],
  ])('%s starts with %s and with %s', async (flag, least, most) => {
    for (const value of [least, most]) expect(await start([flag, value])).toEqual({ code: 0, err: '', launched: 1 });
  });
});
