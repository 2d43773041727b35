import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createSourceReader } from '../../src/media/read-source-node.ts';

const reader = createSourceReader();
const textOf = async (url: string): Promise<string> => Buffer.from(await reader.read(url, 'image')).toString('latin1');

/** Seeded: the same bytes every time. */
function noise(length: number): Buffer {
  let state = 1;
  return Buffer.from(Uint8Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647)));
}

/** In one piece of memory, as a request's body brings it; not as a rope of its parts. */
const flat = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

describe('data: URIs', () => {
  test.each([
    ['data:image/png;base64,QUJDRA==', 'ABCD'],
    ['data:image/png;base64,QUJDRA', 'ABCD'],
    ['DATA:IMAGE/PNG;BASE64,QUJD', 'ABC'],
    ['data:;base64,QUJD', 'ABC'],
    ['data:image/png;name=a%2Cb.png;charset=x;base64,QUJD', 'ABC'],
    ['data:image/png; base64,QUJD', 'ABC'],
    ['data:application/octet-stream;base64,QUJD', 'ABC'],
    ['data:video/mp4;codecs="avc1.42E01E";base64,QUJD', 'ABC'],
    ['data:image/png;base64,QU%4AD', 'ABC'],
    ['data:image/png;base64,QUJDRA%3D%3D', 'ABCD'],
    ['data:image/png;base64,QUJD\r\n RA=\t=\n', 'ABCD'],
    ['data:image/png;base64,QUJD#fragment', 'ABC'],
    ['data:image/png;base64,+/+/', 'û\u00ff\u00bf'],
    ['data:image/gif,GIF89a%00%ff%2', 'GIF89a\0ÿ%2'],
    ['data:,A%42%zzC%', 'AB%zzC%'],
    ['data:image/png;base64x,A%42', 'AB'],
  ])('%j', async (url, text) => {
    expect(await textOf(url)).toBe(text);
  });

  test.each([
    ['data:text/html;base64,QUJD', 'media-refused', 'type "text/html"'],
    ['data:text/html,<b>', 'media-refused', 'type "text/html"'],
    ['data:application/json,{}', 'media-refused', 'type "application/json"'],
    ['data:image/png;base64', 'media-invalid', 'no comma'],
    [`data:image/png;${'x'.repeat(2000)},A`, 'media-invalid', 'no comma'],
    ['data:image/png;base64,', 'media-invalid', '0 bytes'],
    ['data:image/png;base64,====', 'media-invalid', 'base64'],
    ['data:image/png;base64,Q', 'media-invalid', 'base64'],
    ['data:image/png;base64,QQ=', 'media-invalid', 'base64'],
    ['data:image/png;base64,QQ===', 'media-invalid', 'base64'],
    ['data:image/png;base64,QQ==QUJD', 'media-invalid', 'base64'],
    ['data:image/png;base64,QUJD=', 'media-invalid', 'base64'],
    ['data:image/png;base64,QUJ-', 'media-invalid', 'base64'],
    ['data:image/png;base64,QUJ_', 'media-invalid', 'base64'],
    ['data:image/png;base64,QUJD!', 'media-invalid', 'base64'],
    ['data:image/png;base64,QUJD%', 'media-invalid', 'base64'],
    ['data:image/png;base64,QUJD%FF', 'media-invalid', 'base64'],
    // Node's decoder sees Q in the low byte.
    ['data:image/png;base64,QUJ\u0151', 'media-invalid', 'base64'],
    ['', 'media-invalid', 'empty'],
  ])('%j is %s', async (url, code, message) => {
    await expect(reader.read(url, 'image')).rejects.toMatchObject({
      name: 'WgrankError',
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  test('decode as the web’s own decoder does', async () => {
    const characters = fc.constantFrom(...'ABab01+/==\n -_é%');
    await fc.assert(
      fc.asyncProperty(fc.array(characters, { minLength: 1, maxLength: 24 }), async (parts) => {
        const body = parts.join('').replaceAll('%', '%2B');
        let expected: string | undefined;
        try {
          expected = atob(body.replaceAll('%2B', '+'));
        } catch {
          expected = undefined;
        }
        const found = await textOf(`data:image/png;base64,${body}`).catch(() => undefined);
        expect(found).toBe(expected === '' ? undefined : expected);
      }),
      { numRuns: 3000, seed: 20_261_124 },
    );
  });

  // Pieces are 2^18 characters: seams fall into lines, escapes, padding and surrogate pairs.
  test.each([262_144, 3 * 65_536, 65_537, 1_000_003])('%i bytes in every spelling', async (length) => {
    const bytes = noise(length);
    const plain = bytes.toString('base64');
    const bodies = [
      plain,
      plain.replaceAll(/.{76}/g, '$&\r\n'),
      plain.replaceAll('+', '%2B').replaceAll('/', '%2f').replaceAll('=', '%3D'),
      ` ${plain}`,
      plain.replace(/=+$/, ''),
    ];
    for (const body of bodies)
      expect(bytes.equals(await reader.read(`data:image/png;base64,${body}`, 'image'))).toBe(true);
    const escaped = bytes.toString('hex').replaceAll(/../g, '%$&');
    for (const pad of ['', 'a', 'ab'])
      expect(
        Buffer.concat([Buffer.from(pad), bytes]).equals(await reader.read(`data:,${pad}${escaped}`, 'image')),
      ).toBe(true);
    const astral = `${'x'.repeat(2 ** 18 - 6)}${'😀'.repeat(9)}`;
    for (const pad of ['', 'a'])
      expect(Buffer.from(await reader.read(`data:,${pad}${astral}`, 'image')).toString('utf8')).toBe(pad + astral);
  });
});

describe('bare base64', () => {
  const bytes = noise(48);

  test.each([
    bytes.toString('base64'),
    `${bytes.toString('base64').slice(0, 30)}\r\n${bytes.toString('base64').slice(30)}`,
  ])('%j', async (url) => {
    expect(bytes.equals(await reader.read(url, 'image'))).toBe(true);
  });

  test('of a JPEG looks like an absolute path, and is none', async () => {
    const jpeg = Buffer.concat([Buffer.from('ffd8ffe000104a464946', 'hex'), noise(50)]);
    expect(jpeg.toString('base64')).toMatch(/^\/9j\//);
    expect(jpeg.equals(await reader.read(jpeg.toString('base64'), 'image'))).toBe(true);
  });

  test.each([
    ['QUJDRA==', 'media-refused'],
    ['A'.repeat(33), 'media-invalid'],
    [`${'A'.repeat(36)}=`, 'media-invalid'],
    [`${'A'.repeat(4096)}.`, 'media-invalid'],
    [`${'A'.repeat(40)}%2B`, 'media-refused'],
    [`${'A'.repeat(40)}.png`, 'media-refused'],
  ])('%.40s… is %s', async (url, code) => {
    await expect(reader.read(url, 'image')).rejects.toMatchObject({ code });
  });
});

describe('limits', () => {
  const small = createSourceReader({ maxBytes: { image: 999, video: 1000 } });

  test.each([
    ['image', 998, undefined],
    ['image', 999, undefined],
    ['image', 1000, 'the picture has more than 999 bytes (at most 999: --max-image-bytes)'],
    ['video', 1000, undefined],
    ['video', 1001, 'the video has more than 1000 bytes (at most 1000: --max-video-bytes)'],
    ['video', 1_000_000, 'the video has more than 1000 bytes (at most 1000: --max-video-bytes)'],
  ] as const)('%s of %i bytes', async (kind, length, message) => {
    const bytes = noise(length);
    const base64 = bytes.toString('base64');
    const urls = [`data:;base64,${base64}`, base64, `data:,${bytes.toString('hex').replaceAll(/../g, '%$&')}`];
    for (const url of urls) {
      const read = small.read(url, kind);
      if (message === undefined) expect(bytes.equals(await read)).toBe(true);
      else await expect(read).rejects.toMatchObject({ code: 'media-too-large', message: `[media] ${message}` });
    }
  });

  test('are 20 and 64 MiB', async () => {
    const url = `data:;base64,${'A'.repeat((4 * 2 ** 20 * 21) / 3)}`;
    await expect(reader.read(url, 'image')).rejects.toMatchObject({ code: 'media-too-large' });
    expect((await reader.read(url, 'video')).length).toBe(21 * 2 ** 20);
  });

  test('white space without end takes no memory', async () => {
    const url = flat(`data:;base64,${' '.repeat(2 ** 26)}QUJD`);
    const before = process.memoryUsage().rss;
    expect((await small.read(url, 'image')).length).toBe(3);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 25);
  });
});

describe('the event loop', () => {
  const megabytes = 26;
  test.each([
    ['base64', 'QUJD'],
    ['base64 in escapes', '%51%55%4A%44'],
    ['base64 in lines', 'QUJD\r\nQU\nJD'],
  ])(`is not held by ${megabytes} MB of %s`, async (_, unit) => {
    const url = flat(`data:;base64,${unit.repeat((megabytes * 1e6) / unit.length)}`);
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns += 1;
      if (counting) setImmediate(count);
    };
    count();
    await reader.read(url, 'image');
    counting = false;
    // A turn for every 2^18 characters: times would depend on who else is busy.
    expect(turns).toBeGreaterThanOrEqual(Math.floor(url.length / 2 ** 18));
  });

  test('a caller who gives up is heard between two pieces', async () => {
    const url = `data:;base64,${'A'.repeat(20e6)}`;
    await expect(reader.read(url, 'image', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    const given = new AbortController();
    const read = reader.read(url, 'image', given.signal);
    setImmediate(() => given.abort());
    await expect(read).rejects.toMatchObject({ code: 'cancelled' });
  });
});
