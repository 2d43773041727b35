import { once } from 'node:events';
import { connect } from 'node:net';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { rankExample } from '../../src/cli/example.ts';
import { launch } from '../../src/cli/launch.ts';
import { reportReady, reportStart, type LaunchFacts } from '../../src/cli/report.ts';
import { run } from '../../src/cli/run.ts';
import type { ServeFlags } from '../../src/cli/serve-flags.ts';
import { defaultBodyBytes } from '../../src/server/app.ts';
import { fakeInfo } from '../support/fake-engine.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { plainFlags } from '../support/serve-flags.ts';
import { createFakeParts } from './fake-parts.ts';
import { createFakeReranker, postRerank, startApp } from './fake-reranker.ts';

type Media = ServeFlags['media'];

async function read(args: string) {
  const seen: ServeFlags[] = [];
  let err = '';
  const code = await run(['serve', ...args.split(' ').filter((word) => word !== '')], {
    launch: async (flags) => (seen.push(flags), 0),
    inspect: () => Promise.reject(new Error('not this command')),
    writeOut: () => undefined,
    writeErr: (text) => (err += text),
  });
  return { code, err, media: seen[0]?.media };
}

/** Every flag for pictures and clips, with what it says. */
const accepted: readonly [string, Media][] = [
  ['--media-root /srv/pictures', { mediaRoot: '/srv/pictures' }],
  ['--media-allow example.org', { mediaAllow: ['example.org'] }],
  ['--media-allow example.org,*.example.net,10.0.0.1', { mediaAllow: ['example.org', '*.example.net', '10.0.0.1'] }],
  ['--apply-exif', { applyExif: true }],
  ['--max-image-bytes 1000', { maxBytes: { image: 1000 } }],
  ['--max-video-bytes=2000', { maxBytes: { video: 2000 } }],
  ['--max-remote-bytes 3000', { maxRemoteBytes: 3000 }],
  ['--remote-timeout-ms 600000', { remoteTimeoutMs: 600_000 }],
];

describe('flags for pictures and clips', () => {
  test.each([['', {}] as const, ...accepted])('serve %s', async (args, media) => {
    expect(await read(args)).toEqual({ code: 0, err: '', media });
  });

  test('together', async () => {
    const all = accepted.filter(([args]) => !args.endsWith('10.0.0.1'));
    const { media } = await read(all.map(([args]) => args).join(' '));
    const maxBytes = { image: 1000, video: 2000 };
    expect(media).toEqual({ ...Object.assign({}, ...all.map(([, one]) => one)), maxBytes });
  });

  test('hosts may stand apart', async () => {
    const flags: ServeFlags[] = [];
    const ignore = () => undefined;
    await run(['serve', '--media-allow', ' a.example , b.example'], {
      launch: async (given) => (flags.push(given), 0),
      inspect: () => Promise.reject(new Error('not this command')),
      writeOut: ignore,
      writeErr: ignore,
    });
    expect(flags[0]!.media).toEqual({ mediaAllow: ['a.example', 'b.example'] });
  });

  test.each([
    ['--media-root=', 'It must not be empty.'],
    ['--media-root', "option '--media-root <folder>' argument missing"],
    ['--media-allow=', 'It must not be empty.'],
    ['--max-image-bytes 0', 'It must be a whole number from 1 to 1073741824.'],
    ['--max-video-bytes 20MB', 'It must be a whole number from 1 to 1073741824.'],
    ['--max-remote-bytes -1', 'It must be a whole number from 1 to 1073741824.'],
    ['--remote-timeout-ms 0', 'It must be a whole number from 1 to 600000.'],
    ['--remote-timeout-ms 600001', 'It must be a whole number from 1 to 600000.'],
    ['--media-rot /srv', '(Did you mean --media-root?)'],
  ])('refused: serve %s', async (args, message) => {
    const { code, err, media } = await read(args);
    expect(err).toContain(message);
    expect({ code, media }).toEqual({ code: 2, media: undefined });
  });
});

const description = { kind: 'vl-decoder', architecture: 'Qwen3VLForConditionalGeneration', maxTokens: 4096 } as const;
const facts = (flags: Partial<ServeFlags>, kind: 'cross-encoder' | 'text-decoder' | 'vl-decoder'): LaunchFacts => ({
  flags: { ...plainFlags, ...flags },
  models: [{ path: 'm', description: { ...description, kind }, source: 'folder' }],
  url: 'http://127.0.0.1:1',
});

describe('the report', () => {
  test.each(accepted)(
    'names %s as idle for a model that reads texts, and for one that sees not',
    async (args, media) => {
      const [name] = args.split(/[ =]/);
      for (const kind of ['cross-encoder', 'text-decoder'] as const)
        expect(reportStart(facts({ media }, kind)).slice(1)).toEqual([`no effect here: ${name}`]);
      expect(reportStart(facts({ media }, 'vl-decoder')).slice(1)).toEqual([]);
    },
  );

  test('names all that are idle in one line', () => {
    const media = { mediaRoot: '/m', applyExif: true, maxBytes: { image: 1, video: 2 } };
    const line = reportStart(facts({ media, ignored: ['--tp 1'] }, 'cross-encoder'))[1];
    expect(line).toBe('no effect here: --tp 1, --media-root, --apply-exif, --max-image-bytes, --max-video-bytes');
  });

  test.each([
    ['cross-encoder', 512, 16 * 2 ** 20],
    ['text-decoder', 512, 16 * 2 ** 20],
    // The prompt's ending is put back behind the cut.
    ['vl-decoder', 507, 64 * 2 ** 20],
  ] as const)('says the limits of a %s', (kind, tokens, bytes) => {
    expect(defaultBodyBytes(kind)).toBe(bytes);
    const ready = reportReady(facts({}, kind), [{ ...fakeInfo, kind }], 0).join('\n');
    expect(ready).toContain(`limits   ${tokens} tokens a pair (longer ones are cut)`);
    expect(ready).toContain(`10 documents and ${bytes} bytes`);
    const stated = reportReady(facts({ maxBodyBytes: 5000 }, kind), [{ ...fakeInfo, kind }], 0).join('\n');
    expect(stated).toContain('10 documents and 5000 bytes');
  });

  test('the example shows its documents, which a model that sees does not send back', async () => {
    const app = await startApp(createFakeReranker({ kind: 'vl-decoder' }));
    const printed: string[] = [];
    await rankExample(app.url, { print: (line) => printed.push(line), log: (line) => printed.push(line) });
    await app.close();
    expect(printed.join('\n')).toContain('query: what is panda?\n1.    0.0000  hi\n2.    0.0000  The giant panda');
  });
});

/** Starts `wgrank serve` in this process, over a fake engine. @returns its address, and what a signal would do */
async function start(kind: 'cross-encoder' | 'vl-decoder', flags: Partial<ServeFlags> = {}) {
  const parts = createFakeParts();
  parts.describeModel = async () => ({ ...description, kind });
  const before = process.listeners('SIGTERM');
  let say!: (line: string) => void;
  const ready = new Promise<string>((resolve) => (say = resolve));
  const logger = recordingLogger((line) => {
    const [, url] = /^ready after .* at (\S+)/.exec(line) ?? [];
    if (url !== undefined) say(url);
  });
  const output = { logger, print: () => undefined };
  const launched = launch({ ...plainFlags, port: 0, maxDocuments: 10, ...flags }, parts, output);
  const url = await ready;
  const stop = process.listeners('SIGTERM').find((listener) => !before.includes(listener))!;
  return {
    url,
    async stop() {
      stop('SIGTERM');
      expect(await launched).toBe(0);
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, stop);
    },
  };
}

/** The status that an announced size gets before any of it arrives; undefined while the server waits for it. */
async function statusOf(url: string, bytes: number): Promise<number | undefined> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(
    `POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n{`,
  );
  const answer = once(socket, 'data').then(([data]) => Number(String(data).slice(9, 12)));
  const status = await Promise.race([answer, sleep(150, undefined)]);
  socket.destroy();
  answer.catch(() => undefined);
  return status;
}

describe('the largest body where the operator names none', () => {
  test.each([
    ['cross-encoder', 16 * 2 ** 20],
    ['vl-decoder', 64 * 2 ** 20],
  ] as const)('of a %s is %i bytes', async (kind, most) => {
    const server = await start(kind);
    expect([await statusOf(server.url, most), await statusOf(server.url, most + 1)]).toEqual([undefined, 413]);
    await server.stop();
  });

  test('is the operator’s otherwise', async () => {
    const server = await start('vl-decoder', { maxBodyBytes: 5000 });
    expect(await statusOf(server.url, 5001)).toBe(413);
    const fits = { query: 'q', documents: ['a'.repeat(4000)] };
    expect((await postRerank(server.url, fits)).status).toBe(200);
    await server.stop();
  });
});
