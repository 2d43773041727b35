import { WgrankError } from '../errors.ts';
import type { Gpu } from './gpu.ts';
import { assembleShader, type ShaderReader, type ShaderSpec } from './shader.ts';

/** Compiles each distinct program once; compilations run side by side in Dawn's worker pool. */
export class PipelineCache {
  readonly #gpu: Gpu;
  readonly #read: ShaderReader;
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: Gpu, read: ShaderReader) {
    this.#gpu = gpu;
    this.#read = read;
  }

  get size(): number {
    return this.#pipelines.size;
  }

  /** @throws WgrankError `shader-invalid` with the compiler's message */
  get(spec: ShaderSpec, overrides: Readonly<Record<string, number>> = {}): Promise<GPUComputePipeline> {
    const key = JSON.stringify([spec.file, spec.set, spec.link, overrides]);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#compile(spec, overrides);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  async #compile(spec: ShaderSpec, constants: Readonly<Record<string, number>>): Promise<GPUComputePipeline> {
    const { device } = this.#gpu;
    try {
      const code = assembleShader(spec, this.#read);
      // The module's own error is reported by the pipeline, with the text; the scope keeps it from counting as uncaptured.
      device.pushErrorScope('validation');
      const module = device.createShaderModule({ label: spec.file, code });
      void device.popErrorScope().catch(() => undefined);
      const compute = { module, entryPoint: 'main', constants: { ...constants } };
      return await this.#gpu.settled(device.createComputePipelineAsync({ label: spec.file, layout: 'auto', compute }));
    } catch (cause) {
      if (cause instanceof WgrankError) throw cause;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new WgrankError('shader-invalid', spec.file, message.trim(), { cause });
    }
  }
}
