import { describe, expect, test } from 'vitest';
import { toDataUri } from '../../src/client/data-uri.ts';
import { RerankInputError } from '../../src/client/errors.ts';

const chunk = 3 * 8192;
const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7919) >> 3);
const expected = (bytes: Uint8Array, type: string) => `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;

describe('a data URI', () => {
  test.each([0, 1, 2, 3, chunk - 1, chunk, chunk + 1, 2 * chunk + 2])('of %i bytes', async (length) => {
    const bytes = bytesOf(length);
    expect(await toDataUri(bytes)).toBe(expected(bytes, 'application/octet-stream'));
    expect(await toDataUri(bytes.buffer, 'image/png')).toBe(expected(bytes, 'image/png'));
    expect(await toDataUri(new Blob([bytes], { type: 'image/webp' }))).toBe(expected(bytes, 'image/webp'));
    expect(await toDataUri(new Blob([bytes]))).toBe(expected(bytes, 'application/octet-stream'));
  });

  test('of a part of a buffer, as Node reads small files', async () => {
    const whole = bytesOf(1000);
    expect(await toDataUri(whole.subarray(10, 20))).toBe(expected(whole.slice(10, 20), 'application/octet-stream'));
    expect(await toDataUri(Buffer.from('abc'))).toBe('data:application/octet-stream;base64,YWJj');
  });

  test('of 40 million bytes', async () => {
    const bytes = new Uint8Array(40_000_000).fill(171);
    expect((await toDataUri(bytes)) === expected(bytes, 'application/octet-stream')).toBe(true);
  });

  test.each([undefined, null, 'abc', [1, 2], {}])('of %j is refused', async (file) => {
    await expect(toDataUri(file as never)).rejects.toThrow(RerankInputError);
  });
});
