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
    let invalid: Promise<GPUError | null> = Promise.resolve(null);
    try {
      const code = assembleShader(spec, this.#read);
      // The compiler's text is in the module's own error; the pipeline's only says that the module is invalid.
      device.pushErrorScope('validation');
      const module = device.createShaderModule({ label: spec.file, code });
      invalid = this.#gpu.call(() => device.popErrorScope()).catch(() => null);
      const compute = { module, entryPoint: 'main', constants: { ...constants } };
      const descriptor = { label: spec.file, layout: 'auto', compute } as const;
      return await this.#gpu.ask(() => device.createComputePipelineAsync(descriptor));
    } catch (cause) {
      if (cause instanceof WgrankError) throw cause;
      const reason = (await invalid) ?? cause;
      const message = reason instanceof Error || reason instanceof GPUError ? reason.message : String(reason);
      throw new WgrankError('shader-invalid', spec.file, message.trim(), { cause });
    }
  }
}
