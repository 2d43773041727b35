import { afterEach, describe, expect, test } from 'vitest';
import { createLogger, logLevels, type LogFormat, type LogLevel } from '../../src/server/log.ts';
import { logRequests } from '../../src/server/request-log.ts';
import { say, type GuardedApp } from './guarded-app.ts';
import { queueMs, rerank, startObserved } from './observed-app.ts';

const lines: string[] = [];
const loggerOf = (format: LogFormat, level: LogLevel = 'debug', isTerminal = false) =>
  createLogger({ level, format, isTerminal, destination: { write: (line) => void lines.push(line) } });

let app: GuardedApp | undefined;
afterEach(() => {
  app?.close();
  lines.length = 0;
});

async function start(format: LogFormat, level: LogLevel = 'debug') {
  const logger = loggerOf(format, level);
  app = await startObserved({
    listeners: [logRequests(logger)],
    apiKeys: ['sk-very-secret', 'sk-other'],
    log: (line) => logger.error(line),
  });
  return app;
}
const key = { 'x-api-key': 'sk-very-secret' };
const entries = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
const untilLogged = (count: number) => expect.poll(() => lines.length).toBe(count);

describe('the request log', () => {
  test('says what was asked, how it ended and where the time went', async () => {
    const { url } = await start('json');
    const response = await rerank(url, ['short', 'far longer than eight'], {
      ...key,
      'x-request-id': 'from-a-proxy:1',
    });
    expect(response.headers.get('x-request-id')).toBe('from-a-proxy:1');
    await untilLogged(1);
    const [entry] = entries();
    expect(entry).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      msg: 'request',
      id: 'from-a-proxy:1',
      method: 'POST',
      route: '/v1/rerank',
      status: 200,
      ms: expect.any(Number),
      documents: 2,
      tokens: 5 + 8,
      truncated: 1,
      tokenizeMs: expect.any(Number),
      queueMs,
      inferenceMs: expect.any(Number),
    });
    const { ms, tokenizeMs, inferenceMs } = entry as Record<string, number>;
    // Timers may fire a little early.
    expect(tokenizeMs).toBeGreaterThan(3);
    expect(inferenceMs).toBeGreaterThan(8);
    expect(ms).toBeGreaterThanOrEqual(tokenizeMs! + queueMs + inferenceMs! - 0.1);
  });

  test('failures, refusals and clients that leave', async () => {
    const { url } = await start('json');
    await rerank(
      url,
      Array.from({ length: 13 }, () => 'x'),
      key,
    );
    await rerank(url, ['x']);
    await fetch(`${url}/nowhere/secret-path`, { headers: key });
    await fetch(`${url}/hang`, { headers: key, signal: AbortSignal.timeout(50) }).catch(() => undefined);
    await untilLogged(5);
    await fetch(`${url}/health`);
    await untilLogged(6);
    const told = entries().map(({ level, msg, status, route, documents }) => [level, msg, status, route, documents]);
    expect(told.filter(([, msg]) => msg === 'request')).toEqual([
      ['warn', 'request', 500, '/v1/rerank', 13],
      ['info', 'request', 401, null, undefined],
      ['info', 'request', 404, null, undefined],
      ['info', 'request', 499, '/hang', undefined],
      ['debug', 'request', 200, '/health', undefined],
    ]);
  });

  test('probes are not in the log unless it is asked for everything', async () => {
    const { url } = await start('json', 'info');
    await fetch(`${url}/health`);
    await rerank(url, ['a'], key);
    await untilLogged(1);
    expect(entries()[0]).toMatchObject({ route: '/v1/rerank' });
  });

  test.each(['two words', 'ünicode', '', 'a'.repeat(129), '"quoted"'])('the id %j is replaced', async (sent) => {
    const { url } = await start('json');
    const response = await fetch(`${url}/health`, {
      headers: { 'x-request-id': Buffer.from(sent).toString('latin1') },
    });
    expect(response.headers.get('x-request-id')).toMatch(/^[\da-f]{8}-[\da-f-]{27}$/);
  });
});

// oxlint-disable-next-line no-control-regex -- what must not be in a line
const control = /[\0-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/;

describe('nothing leaks', () => {
  const texts =
    'panda giant sk-very-secret sk-other sk-guess secret-path my-agent my-cookie my-referer 127.0.0.1 my-id forged ' +
    'node_modules file:// 0x \u001b \u009b \u2028 \u202e \r';
  const secrets = [...texts.split(' '), process.cwd()];

  test.each(['json', 'pretty'] as const)(
    'into %s lines: no text, key, address or control character of a request',
    async (format) => {
      const { url } = await start(format);
      const headers = { ...key, 'user-agent': 'my-agent', cookie: 'my-cookie', referer: 'http://my-referer' };
      await rerank(url, ['The giant panda', 'a giant'], headers);
      await rerank(url, ['x'], { authorization: 'Bearer sk-guess' });
      await fetch(`${url}/v1/models/secret-path/my-id?key=sk-very-secret`, { headers });
      await fetch(`${url}/secret-path%0d%0a{"level":"forged"}`, { headers });
      await fetch(`${url}/v1/rerank`, {
        method: 'POST',
        body: '{"query": "giant panda',
        headers: { ...headers, 'content-type': 'application/json' },
      });
      await say(
        app!,
        'GET /secret-path\u009b31m HTTP/1.1\r\nHost: localhost\r\nx-request-id: forged\u009b\r\nConnection: close\r\n\r\n',
      );
      await say(app!, 'GET /\u001b[31mforged HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      // The last one is no HTTP and has no line.
      await untilLogged(5);
      const text = lines.join('');
      for (const secret of secrets) expect([secret, text.includes(secret)]).toEqual([secret, false]);
      for (const line of lines) expect(line.match(/\n/g)).toHaveLength(1);
      expect(text).toContain('/v1/models/*id');
    },
  );

  test('whatever is logged stays one line that steers no terminal', () => {
    const nasty = 'a\n{"level":"info"}\r\u001b[2J\u007f\u009b31m\u2028\u202e\0\\n"';
    for (const format of ['json', 'pretty'] as const) {
      const logger = loggerOf(format);
      logger.info(nasty);
      logger.info({ field: nasty, [nasty]: 1, deep: [{ nasty }] }, nasty);
      logger.error({ err: Object.assign(new TypeError(nasty), { code: nasty }) }, 'failed');
    }
    for (const line of lines) expect(line.slice(0, -1)).not.toMatch(control);
    for (const line of lines.slice(0, 3)) expect(JSON.parse(line)).toBeTypeOf('object');
    expect((JSON.parse(lines[0]!) as { msg: string }).msg).toBe(nasty);
    expect(lines[3]!.match(/\n/g)).toHaveLength(1);
    expect(lines[3]).toContain(String.raw`a\n{"level":"info"}\r\u001b[2J\u007f\u009b31m\u2028\u202e\u0000`);
  });
});

describe('the logger', () => {
  test.each(logLevels.filter((level) => level !== 'silent'))('level %s and above', (level) => {
    const logger = loggerOf('json', level);
    for (const one of logLevels) if (one !== 'silent') logger[one]('x');
    expect(entries().map((entry) => entry.level)).toEqual(logLevels.slice(logLevels.indexOf(level), -1));
  });

  test('auto is for people on a terminal, else JSON', () => {
    loggerOf('auto', 'info', true).info('hello');
    loggerOf('auto', 'info', false).info('hello');
    expect(lines[0]!.slice(14)).toBe(' \u001b[32mINFO\u001b[39m: \u001b[36mhello\u001b[39m\n');
    expect(JSON.parse(lines[1]!)).toMatchObject({ msg: 'hello' });
  });

  test('errors keep the frames of their stack', () => {
    loggerOf('json').error({ err: new RangeError('too far') }, 'failed');
    const { err } = entries()[0] as { err: { frames: string[] } };
    expect(err).toMatchObject({ type: 'RangeError', message: 'too far' });
    expect(err.frames[0]).toContain('log.test.ts');
  });
});
