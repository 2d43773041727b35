import process from 'node:process';
import { globals } from 'webgpu';
import type { Engine, EngineOptions } from '../../src/rerank/engine.ts';
import { loadEngine as loadRealEngine } from '../../src/rerank/load-engine-node.ts';

/** Signals at which the real engine's device fails in its process, and how. */
export const faults = {
  /** The device is destroyed. */
  destroyed: 'SIGUSR2',
  /** A wait for a result ends before the device says that it is lost. */
  mapFirst: 'SIGHUP',
  /** An allocation fails that no scope watches. */
  outOfMemory: 'SIGWINCH',
  /** A call breaks the rules and no scope watches. */
  validation: 'SIGALRM',
} as const;

/** Environment variable: milliseconds after its birth at which the device is lost, so that loading fails. */
export const lostAfterVariable = 'TEST_DEVICE_LOST_AFTER_MS';

let device: GPUDevice | undefined;
let rejectMaps = false;

const { GPUAdapter, GPUBuffer, GPUOutOfMemoryError } = globals as unknown as {
  GPUAdapter: { prototype: GPUAdapter };
  GPUBuffer: { prototype: GPUBuffer };
  GPUOutOfMemoryError: new (message: string) => GPUError;
};

const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  const made = await requestDevice.call(this, descriptor);
  device = made;
  const lostAfter = Number(process.env[lostAfterVariable] ?? Number.NaN);
  if (lostAfter === 0) made.destroy();
  else if (lostAfter > 0) setTimeout(() => made.destroy(), lostAfter);
  return made;
};

const { mapAsync } = GPUBuffer.prototype;
GPUBuffer.prototype.mapAsync = function (...rest) {
  if (!rejectMaps) return mapAsync.apply(this, rest);
  setTimeout(() => device!.destroy(), 30);
  return Promise.reject(new DOMException('the device was lost', 'AbortError'));
};

process.on(faults.destroyed, () => device!.destroy());
process.on(faults.mapFirst, () => (rejectMaps = true));
process.on(faults.outOfMemory, () => {
  const event = new Event('uncapturederror');
  device!.dispatchEvent(Object.assign(event, { error: new GPUOutOfMemoryError('as a test asks for') }));
});
process.on(faults.validation, () => {
  device!.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE });
});

export function loadEngine(options: EngineOptions): Promise<Engine> {
  return loadRealEngine(options);
}
