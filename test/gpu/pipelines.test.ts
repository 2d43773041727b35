import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openGpu } from '../../src/gpu/dawn-node.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { PipelineCache } from '../../src/gpu/pipelines.ts';

const kernel = `
const VALUE = 1u;
override SCALE: u32 = 1u;
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(1)
fn main() {
  out[0] = SCALE * VALUE;
}`;
const files: Record<string, string> = {
  'kernel.wgsl': kernel,
  'other.wgsl': kernel,
  'unknown-name.wgsl': kernel.replace('SCALE *', 'SCAEL *'),
  'not-wgsl.wgsl': 'this is no shader',
  'no-main.wgsl': kernel.replace('fn main', 'fn start'),
  'too-wide.wgsl': kernel.replace('workgroup_size(1)', 'workgroup_size(65536)'),
  'lib/extra.wgsl': 'fn extra() -> u32 {\n  return 1u;\n}',
};

let gpu: Gpu;
let pipelines: PipelineCache;
beforeEach(async () => {
  ({ gpu } = await openGpu());
  pipelines = new PipelineCache(gpu, (file) => files[file]!);
});
afterEach(() => gpu.destroy());

/** What `out` holds after one launch. */
async function run(pipeline: GPUComputePipeline): Promise<number> {
  const { device } = gpu;
  const out = gpu.createBuffer('out', 16, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  const read = gpu.createBuffer('read', 16, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [{ binding: 0, resource: { buffer: out } }];
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(out, 0, read, 0, 16);
  device.queue.submit([encoder.finish()]);
  await gpu.settled(read.mapAsync(GPUMapMode.READ));
  return new Uint32Array(read.getMappedRange())[0]!;
}

describe('programs', () => {
  it('are compiled once, also when asked for while they compile', async () => {
    const compile = vi.spyOn(gpu.device, 'createComputePipelineAsync');
    const first = pipelines.get({ file: 'kernel.wgsl' });
    const again = pipelines.get({ file: 'kernel.wgsl' }, {});
    expect(await again).toBe(await first);
    expect(await pipelines.get({ file: 'kernel.wgsl' })).toBe(await first);
    expect(compile).toHaveBeenCalledTimes(1);
    expect(pipelines.size).toBe(1);
  });

  it('differ by file, constants, linked files and overrides', async () => {
    const made = await Promise.all([
      pipelines.get({ file: 'kernel.wgsl' }),
      pipelines.get({ file: 'other.wgsl' }),
      pipelines.get({ file: 'kernel.wgsl', link: ['extra.wgsl'] }),
      pipelines.get({ file: 'kernel.wgsl', set: { VALUE: '7u' } }),
      pipelines.get({ file: 'kernel.wgsl', set: { VALUE: '7u' } }, { SCALE: 6 }),
    ]);
    expect(new Set(made).size).toBe(5);
    expect(pipelines.size).toBe(5);
    const results: number[] = [];
    for (const pipeline of made) results.push(await run(pipeline));
    expect(results).toEqual([1, 1, 1, 7, 42]);
  });
});

describe('a program that does not compile', () => {
  it.each([
    ['unknown-name.wgsl', /unresolved value 'SCAEL'/],
    ['not-wgsl.wgsl', /this is no shader/],
    ['no-main.wgsl', /main/],
    ['too-wide.wgsl', /workgroup/i],
  ])('is refused with the compiler’s text, and the device lives on: %s', async (file, text) => {
    const reason = await pipelines.get({ file }).catch((error: unknown) => error);
    expect(reason).toMatchObject({ code: 'shader-invalid', message: expect.stringMatching(text) as string });
    expect((reason as Error).message.startsWith(`[${file}] `)).toBe(true);
    await gpu.idle(); // an uncaptured error would have failed the device by now
    expect(await run(await pipelines.get({ file: 'kernel.wgsl' }))).toBe(1);
  });

  it('is refused for an override that it does not have', async () => {
    await expect(pipelines.get({ file: 'kernel.wgsl' }, { SIZE: 1 })).rejects.toMatchObject({ code: 'shader-invalid' });
    await expect(gpu.idle()).resolves.toBeUndefined();
  });

  it('is a rejection, not an exception, when it cannot even be put together', async () => {
    const pending = pipelines.get({ file: 'kernel.wgsl', set: { NAME: '1u' } });
    await expect(pending).rejects.toMatchObject({
      code: 'shader-invalid',
      message: expect.stringContaining('NAME is declared 0 times') as string,
    });
  });

  it('does not spoil its neighbours', async () => {
    const outcomes = await Promise.allSettled([
      pipelines.get({ file: 'kernel.wgsl' }),
      pipelines.get({ file: 'unknown-name.wgsl' }),
      pipelines.get({ file: 'other.wgsl' }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

it('a lost device is named, not the program', async () => {
  gpu.device.destroy();
  await expect(pipelines.get({ file: 'kernel.wgsl' })).rejects.toMatchObject({ code: 'device-lost' });
});
