import { existsSync } from 'node:fs';
import os from 'node:os';
import { WgrankError } from '../errors.ts';
import { Gpu, type GpuTraits } from './gpu.ts';
import { politeDawn } from './polling-node.ts';
import { installSwiftShader } from './swiftshader-node.ts';

/**
 * Toggles of Dawn (src/dawn/native/Toggles.cpp). `vulkan_enable_f16_on_nvidia`: without it no NVIDIA adapter offers
 * shader-f16. `disable_robustness`, `disable_workgroup_init`: our kernels check their own bounds and write shared memory
 * before reading it. `timestamp_quantization` off: the profiler wants nanoseconds. Validation stays on: it costs nothing
 * measurable beside the kernels.
 */
const enabled = [
  'allow_unsafe_apis',
  'vulkan_enable_f16_on_nvidia',
  'disable_robustness',
  'disable_workgroup_init',
  'disable_polyfills_on_integer_div_and_mod',
];
const disabled = ['timestamp_quantization', 'lazy_clear_resource_on_first_use'];

const wantedFeatures: GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

/** Dawn's GPU objects must stay reachable for as long as any of their devices live, or the process crashes. */
const instances: GPU[] = [];

/** What a device was opened with, for the operator's eyes. */
export interface OpenedGpu {
  readonly gpu: Gpu;
  readonly warnings: readonly string[];
}

/**
 * Opens the best adapter: hardware, else the system's software Vulkan driver, else SwiftShader from the npm package
 * `@sparticuz/chromium` when that is installed.
 * @throws WgrankError `adapter-missing` with what to install
 */
export async function openGpu(): Promise<OpenedGpu> {
  if (os.platform() === 'linux') process.env['XDG_RUNTIME_DIR'] ??= os.tmpdir(); // Mesa complains on stderr without it
  const adapter = await requestAdapter();
  if (adapter) return openDevice(adapter);
  const fallback = (await installSwiftShader()) ? await requestAdapter() : null;
  if (fallback) return openDevice(fallback);
  throw new WgrankError(
    'adapter-missing',
    'gpu',
    'Dawn found no usable adapter: install the GPU’s Vulkan driver, or Mesa’s lavapipe 25 or newer ' +
      '(Debian 12: mesa-vulkan-drivers from bookworm-backports, its own 22.3 is too old; Debian 13, Ubuntu 25.04: ' +
      'apt-get install mesa-vulkan-drivers), or on Linux x64 the slow SwiftShader: npm install @sparticuz/chromium@147.0.0',
  );
}

async function requestAdapter(): Promise<GPUAdapter | null> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const instance = create([
    `enable-dawn-features=${enabled.join(',')}`,
    `disable-dawn-features=${disabled.join(',')}`,
  ]) as GPU;
  instances.push(instance);
  try {
    return await instance.requestAdapter({ powerPreference: 'high-performance' });
  } catch {
    return null; // Dawn throws instead of answering null on systems without any backend
  }
}

async function openDevice(adapter: GPUAdapter): Promise<OpenedGpu> {
  const requiredFeatures = wantedFeatures.filter((feature) => adapter.features.has(feature));
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof value === 'number') requiredLimits[name] = value;
  }
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  const info = adapter.info;
  const traits: GpuTraits = {
    adapter: info.description || info.device || info.vendor || 'unnamed adapter',
    software: info.isFallbackAdapter || /llvmpipe|swiftshader|basic render/i.test(`${info.description} ${info.device}`),
    f16: device.features.has('shader-f16'),
    subgroupSize: fixedSubgroupSize(device.features, info),
    timestamps: device.features.has('timestamp-query'),
  };
  const warnings = /swiftshader/i.test(traits.adapter) ? [slowAdapter()] : [];
  return { gpu: new Gpu(device, traits, politeDawn()), warnings };
}

function fixedSubgroupSize(features: GPUSupportedFeatures, info: GPUAdapterInfo): number {
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  return features.has('subgroups') && min === max ? (min ?? 0) : 0;
}

function slowAdapter(): string {
  return (
    'no GPU and no system Vulkan driver was found: running on SwiftShader, a CPU rasteriser meant for tests and very slow. ' +
    'For a GPU install its Vulkan driver; without one Mesa’s lavapipe (25 or newer) is many times faster' +
    (existsSync('/etc/debian_version') ? ' (scripts/install-lavapipe.sh)' : '')
  );
}
