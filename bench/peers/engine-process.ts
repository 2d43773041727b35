/**
 * Child of ort-webgpu.bench.ts: loads one engine, then scores the same documents each time it is told to.
 * argv[2] is an EngineJob as JSON.
 */
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import type { Engine } from '../../src/rerank/engine.ts';

export interface EngineJob {
  readonly engine: 'ort-webgpu' | 'ort-cpu' | 'wgrank';
  /** .onnx file for ONNX Runtime, model folder for wgrank. */
  readonly model: string;
  /** Documents of equal length, one batch. */
  readonly ids: readonly (readonly number[])[];
  readonly padTokenId: number;
}

export interface Ready {
  readonly ready: true;
  readonly loadMs: number;
  readonly adapter: string;
  /** Vulkan drivers that the process has mapped: proof of the device, whatever an engine says. */
  readonly drivers: readonly string[];
}

export interface Sample {
  readonly ms: number;
  /** Processor time of the whole process: on a software adapter less disturbed by neighbours than the clock. */
  readonly cpuMs: number;
  readonly scores: readonly number[];
}

type Score = () => Promise<Float32Array>;

async function loadOrt(job: EngineJob): Promise<{ score: Score; adapter: string }> {
  const webgpu = job.engine === 'ort-webgpu';
  const session = await ort.InferenceSession.create(job.model, {
    // Validation off is ONNX Runtime's fastest setting; wgrank's own device validates as its users get it.
    executionProviders: webgpu ? [{ name: 'webgpu', validationMode: 'disabled' }] : ['cpu'],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    ...(process.env['ORT_SAVE_OPTIMIZED'] ? { optimizedModelFilePath: process.env['ORT_SAVE_OPTIMIZED'] } : {}),
  });
  const batch = job.ids.length;
  const length = job.ids[0]?.length ?? 0;
  const positions = job.ids.flatMap((ids) => ids.map((_, index) => job.padTokenId + 1 + index));
  const feeds = {
    ids: new ort.Tensor('int32', Int32Array.from(job.ids.flat()), [batch, length]),
    positions: new ort.Tensor('int32', Int32Array.from(positions), [batch, length]),
  };
  const score = async () => {
    const out = await session.run(feeds);
    return (out['logits'] as ort.Tensor).data as Float32Array;
  };
  return { score, adapter: webgpu ? "ORT WebGPU EP (Dawn's default adapter)" : 'ORT CPU EP' };
}

async function loadWgrank(job: EngineJob): Promise<{ score: Score; adapter: string }> {
  const entry = '../../src/rerank/load-engine-node.ts';
  const { loadEngine } = (await import(entry)) as { loadEngine(options: { modelDir: string }): Promise<Engine> };
  const engine = await loadEngine({ modelDir: job.model });
  const pairs = job.ids.map((ids) => ({ ids: Int32Array.from(ids), truncatedTokens: 0 }));
  return { score: () => engine.score(pairs), adapter: `${engine.info.adapter}, ${engine.info.dtype}` };
}

function mappedDrivers(): string[] {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const names = maps.matchAll(/\/(libvulkan_[\w]+\.so|libvk_swiftshader\.so|libGLX_nvidia\.so[\w.]*)/g);
  return [...new Set([...names].map((match) => match[1] ?? ''))].toSorted();
}

const job = JSON.parse(process.argv[2] ?? '{}') as EngineJob;
const start = performance.now();
const { score, adapter } = job.engine === 'wgrank' ? await loadWgrank(job) : await loadOrt(job);
process.on('message', () => {
  void (async () => {
    const from = performance.now();
    const cpuFrom = process.cpuUsage();
    const scores = await score();
    const cpu = process.cpuUsage(cpuFrom);
    const ms = performance.now() - from;
    process.send?.({ ms, cpuMs: (cpu.user + cpu.system) / 1000, scores: [...scores] } satisfies Sample);
  })();
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true, loadMs: performance.now() - start, adapter, drivers: mappedDrivers() } satisfies Ready);
