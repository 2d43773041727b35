import { describe, expect, it } from 'vitest';
import { touchPages } from '../../src/ops/touch-pages.ts';
import { touchPages as reference } from '../reference/touch-pages.ts';
import { fill, readWords, testGpu } from '../support/op-harness.ts';

describe('touch-pages', () => {
  it('writes the first word of every page of every buffer, and no other', async () => {
    const { gpu, pipelines } = await testGpu();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    // On both sides of a page, of a workgroup of 8 pages, and of what one axis of a dispatch holds after folding.
    const lengths = [4, 1023, 1024, 1025, 8 * 1024, 8 * 1024 + 1, 3_000_001];
    const buffers = lengths.map((words) => gpu.createBuffer(`pages ${words}`, 4 * words, usage));
    for (const buffer of buffers) fill(gpu, buffer);
    const before: Uint32Array[] = [];
    for (const buffer of buffers) before.push(await readWords(buffer));
    await touchPages(gpu, pipelines, buffers);
    for (const [i, buffer] of buffers.entries()) {
      const words = await readWords(buffer);
      expect(Buffer.from(words.buffer).equals(Buffer.from(reference(before[i]!).buffer)), `${lengths[i]} words`).toBe(
        true,
      );
      gpu.destroyBuffer(buffer);
    }
  });
});
