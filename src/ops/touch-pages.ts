import type { Gpu } from '../gpu/gpu.ts';
import type { PipelineCache } from '../gpu/pipelines.ts';
import { foldGroups } from '../graph/graph.ts';

/** Words of a page, and threads of a workgroup, in shaders/touch-pages.wgsl. */
const [pageWords, lanes] = [1024, 8];

/**
 * Writes a word of every page of the buffers (shaders/touch-pages.wgsl), in order before whatever is submitted next. For
 * software adapters, whose buffers are the machine's memory: all cores fetch the pages that one copying thread would.
 * @param buffers with usage STORAGE, none larger than a binding
 */
export async function touchPages(gpu: Gpu, pipelines: PipelineCache, buffers: Iterable<GPUBuffer>): Promise<void> {
  const pipeline = await pipelines.get({ file: 'touch-pages.wgsl' });
  const layout = pipeline.getBindGroupLayout(0);
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  for (const buffer of buffers) {
    const group = gpu.device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...foldGroups(Math.ceil(buffer.size / 4 / pageWords / lanes)));
  }
  pass.end();
  gpu.device.queue.submit([encoder.finish()]);
}
