import type { AdapterFacts } from '../../src/rerank/plan-model.ts';

export const mib = 2 ** 20;
export const gib = 2 ** 30;

/** What lavapipe binds, on a machine of 24 GiB. */
export const lavapipe: AdapterFacts = {
  traits: { software: true, subgroupSize: 8 },
  bindingBytes: 128 * mib,
  bufferBytes: 4 * gib,
  memoryBytes: 24 * gib,
};
/** What NVIDIA's driver binds. */
export const nvidia: AdapterFacts = {
  traits: { software: false, subgroupSize: 32 },
  bindingBytes: 2 * gib - 4,
  bufferBytes: 4 * gib,
};
